"""Hot reload: read and check the file whole, build a new runtime, swap one reference."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass, field

from gateway.build import build_runtime
from gateway.config.read import ConfigError, read
from gateway.config.schema import Config
from gateway.registry import PluginError, Registry
from gateway.runtime import Live

log = logging.getLogger(__name__)

_NEEDS_RESTART = (
    "server.listen",
    "server.admin_listen",
    "server.workers",
    "server.tls",
    "logging",
    "storage",
)
"""Settings that are read once, at the start."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload did: nothing if there are errors or the configuration is the same."""

    changed: bool = False
    errors: list[dict[str, str]] = field(default_factory=list)
    restart_required: list[str] = field(default_factory=list)


class Reloader:
    """Reloads one file into one running gateway, one reload at a time."""

    def __init__(self, path: str | None, live: Live, registry: Registry) -> None:
        self._path = path
        self._live = live
        self._registry = registry
        self._lock = asyncio.Lock()

    async def reload(self, why: str) -> Reloaded:
        """An invalid file changes nothing: all its errors are logged, counted and returned."""
        async with self._lock:
            result = await self._reload()
        self._report(result, why)
        return result

    async def _reload(self) -> Reloaded:
        live = self._live
        if self._path is None:  # the demo's configuration is in no file
            return Reloaded()
        try:
            loaded = await asyncio.to_thread(read, self._path, os.environ, self._registry.known())
            if loaded.version == live.current.version:
                return Reloaded()
            runtime = build_runtime(loaded, live.store, live.memory, self._registry)
        except ConfigError as exc:
            return Reloaded(errors=[{"path": e.path, "message": str(e)} for e in exc.errors])
        except PluginError as exc:
            return Reloaded(errors=[{"path": exc.path, "message": str(exc)}])
        restart = restart_required(live.current.config, runtime.config)
        runtime.clients.exist |= live.current.clients.exist
        live.current = runtime
        live.upstream.retain(runtime.catalog.addresses())
        return Reloaded(changed=True, restart_required=restart)

    def _report(self, result: Reloaded, why: str) -> None:
        live = self._live
        live.reload_errors = list(result.errors)
        outcome = "invalid" if result.errors else "ok" if result.changed else "unchanged"
        live.metrics.config_reload(outcome)
        facts = {"trigger": why, "config_version": live.current.version}
        if result.errors:
            log.error("configuration not reloaded", extra={**facts, "errors": result.errors})
        elif result.changed:
            log.info("configuration reloaded", extra={**facts, "restart_required": result.restart_required})


def restart_required(old: Config, new: Config) -> list[str]:
    """The settings that differ but take effect only with a restart."""
    return [path for path in _NEEDS_RESTART if _at(old, path) != _at(new, path)]


def _at(config: Config, path: str) -> object:
    value: object = config
    for name in path.split("."):
        value = getattr(value, name)
    return value
