"""Hot reload: read and check the file whole, build a new runtime, swap one reference."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from gateway.build import build_plugins, build_runtime
from gateway.config.cautions import unserved
from gateway.config.read import ConfigError, Loaded, read
from gateway.config.schema import Config
from gateway.config.section import Section
from gateway.registry import Registry
from gateway.runtime import Live, Runtime, most_in_flight

log = logging.getLogger(__name__)

_S = TypeVar("_S", bound=Section)

_NEEDS_RESTART = (
    "server.listen",
    "server.admin_listen",
    "server.workers",
    "server.tls",
    "logging.file",
    "logging.prometheus.enabled",
    "logging.prometheus.endpoint",
    "logging.audit",
    "logging.providers",
    "storage.config",
    "storage.runtime",
    "storage.journal",
    "storage.retention",
    "storage.on_trouble",
    "storage.master_key",
)
"""Settings that are read once, at the start."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload did: nothing if there are errors or the configuration is the same."""

    changed: bool = False
    errors: list[dict[str, str]] = field(default_factory=list)
    restart_required: list[str] = field(default_factory=list)
    """The settings that wait for a restart, be they changed by this reload or an earlier one."""


class Reloader:
    """Reloads one file into one running gateway, one reload at a time."""

    def __init__(self, path: str | None, live: Live, registry: Registry) -> None:
        self._path = path
        self._live = live
        self._registry = registry
        self._started = live.current.config
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
            plugins = build_plugins(loaded.config, self._registry)
        except ConfigError as exc:
            return Reloaded(errors=[{"path": e.path, "message": e.text} for e in exc.errors])
        waiting = restart_required(self._started, loaded.config)
        if loaded.version == live.current.version:
            return Reloaded(restart_required=waiting)
        effective = replace(loaded, config=_keep(loaded.config, self._started, waiting))
        live.current = build_runtime(effective, plugins, live.store, live.memory)
        live.site.cache_entries = effective.config.policy.cache.max_entries
        live.max_inflight = most_in_flight(effective.config.server)
        live.upstream.retain(live.current.catalog.addresses())
        logging.getLogger().setLevel(effective.config.logging.level.upper())
        caution(loaded, live.current)
        return Reloaded(True, restart_required=waiting)

    def _report(self, result: Reloaded, why: str) -> None:
        live = self._live
        live.reload_errors = list(result.errors)
        outcome = "invalid" if result.errors else "ok" if result.changed else "unchanged"
        live.metrics.config_reload(outcome)
        facts: dict[str, object] = {"trigger": why, "config_version": live.current.version}
        if result.errors:
            log.error("configuration not reloaded", extra={**facts, "errors": result.errors})
            return
        facts["restart_required"] = result.restart_required
        log.info("configuration reloaded" if result.changed else "configuration unchanged", extra=facts)


def caution(loaded: Loaded, runtime: Runtime) -> None:
    """Log what is valid but wants a second look."""
    for warning in loaded.warnings:
        log.warning(warning)
    if missing := unserved(loaded.config):
        log.warning("accepted but not served by this version", extra={"settings": missing})
    clients = runtime.clients
    if clients.open_to_all or not clients.exist:
        whom = "everyone" if clients.open_to_all else "this machine"
        log.warning("anonymous access is on", extra={"open_to": whom})


def restart_required(old: Config, new: Config) -> list[str]:
    """The settings that differ but take effect only with a restart."""
    return [path for path in _NEEDS_RESTART if _at(old, path) != _at(new, path)]


def _keep(new: Config, old: Config, paths: Iterable[str]) -> Config:
    """``new`` with the settings at ``paths`` as they are in ``old``."""
    for path in paths:
        new = _with(new, path.split("."), _at(old, path))
    return new


def _with(section: _S, path: Sequence[str], value: object) -> _S:
    name, *rest = path
    inner = _with(getattr(section, name), rest, value) if rest else value
    return section.model_copy(update={name: inner})


def _at(config: Config, path: str) -> object:
    value: object = config
    for name in path.split("."):
        value = getattr(value, name)
    return value
