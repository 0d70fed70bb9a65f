"""Hot reload: read and check the configuration whole, build a new runtime, swap one reference."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from gateway.build import build_runtime, with_clients
from gateway.config.cautions import own_secrets
from gateway.config.problems import ConfigError, Problem
from gateway.config.read import Loaded
from gateway.config.schema import Config
from gateway.config.section import Section
from gateway.instances import build_plugins
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
    """What a reload did: nothing if the configuration is the same, and of one with errors only clients and
    keys disabled through the admin API are taken over."""

    changed: bool = False
    errors: list[dict[str, str]] = field(default_factory=list)
    restart_required: list[str] = field(default_factory=list)
    """The settings that wait for a restart, be they changed by this reload or an earlier one."""
    unread: bool = False
    """The file was not looked at, for the process that reads it stands still."""

    @property
    def outcome(self) -> str:
        """In a word, for the metrics."""
        return "invalid" if self.errors else "ok" if self.changed else "unchanged"

    def log(self, why: str, version: str) -> None:
        """Say so. ``why``: who asked for it; ``version``: of the configuration that is in force now."""
        facts: dict[str, object] = {"trigger": why, "config_version": version}
        if self.errors:
            log.error("configuration not reloaded", extra={**facts, "errors": self.errors})
            return
        facts["restart_required"] = waiting = self.restart_required
        unchanged = "settings wait for a restart" if waiting else "configuration unchanged"
        level = logging.WARNING if waiting else logging.INFO
        log.log(level, "configuration reloaded" if self.changed else unchanged, extra=facts)


def told(problems: Iterable[Problem]) -> list[dict[str, str]]:
    """What is wrong, as the log and the admin API have it."""
    return [{"path": problem.path, "message": problem.text} for problem in problems]


Source = Callable[[], Awaitable[Loaded]]
"""Reads the configuration as it is now, wherever it is kept. Raises `ConfigError`."""


class Reloader:
    """Reloads one configuration into one running gateway, one reload at a time."""

    def __init__(self, source: Source, live: Live, registry: Registry, *, cautious: bool = True) -> None:
        """``cautious``: log what wants a second look in a new configuration."""
        self._source = source
        self._cautious = cautious
        self._live = live
        self._registry = registry
        self._started = live.current.config
        self._settings = live.managed.effective.config
        """As they were loaded last, those that wait for a restart included."""
        self._lock = asyncio.Lock()

    @property
    def registry(self) -> Registry:
        """The plugins that configurations may name."""
        return self._registry

    @property
    def waiting(self) -> list[str]:
        """The settings that wait for a restart."""
        return self.would_wait(self._settings)

    def would_wait(self, config: Config) -> list[str]:
        """The settings that would wait for a restart with ``config``."""
        return restart_required(self._started, config)

    async def reload(self, why: str) -> Reloaded:
        """An invalid configuration changes nothing: all its errors are logged, counted and returned."""
        async with self._lock:
            result = await self._reload()
            live = self._live
            live.reload_errors = list(result.errors)
            live.metrics.config_reload(result.outcome)
            result.log(why, live.current.version)
        return result

    async def refresh(self) -> Reloaded:
        """As `reload`, reported by somebody else."""
        async with self._lock:
            return await self._reload()

    async def _reload(self) -> Reloaded:
        live = self._live
        warned = live.managed.warnings
        try:
            loaded = await self._source()
            plugins = build_plugins(loaded.config, self._registry)
        except ConfigError as exc:
            return Reloaded(errors=told(exc.errors))
        result = Reloaded(
            changed=loaded.version != live.current.version,
            errors=told(loaded.refused),
            restart_required=self.would_wait(loaded.config),
        )
        if not result.changed:
            return result
        if loaded.config is self._settings:
            live.current = with_clients(live.current, loaded, live.store, live.memory)
            if self._cautious:
                warn(warning for warning in loaded.warnings if warning not in warned)
            return result
        self._settings = loaded.config
        effective = replace(loaded, config=kept(loaded.config, self._started))
        live.hide(own_secrets(effective.config))
        live.current = build_runtime(effective, plugins, live.store, live.memory, live.current.clients)
        live.site.cache_entries = effective.config.policy.cache.max_entries
        live.max_inflight = most_in_flight(effective.config.server)
        live.upstream.retain(live.current.catalog.addresses())
        logging.getLogger().setLevel(effective.config.logging.level.upper())
        if self._cautious:
            caution(loaded, live.current)
        return result


def caution(loaded: Loaded, runtime: Runtime) -> None:
    """Log what is valid but wants a second look."""
    if loaded.refused:
        log.error("what the admin API has set is not in effect", extra={"errors": told(loaded.refused)})
    warn(loaded.warnings)
    clients = runtime.clients
    if clients.open_to_all or not clients.exist:
        whom = "everyone" if clients.open_to_all else "this machine"
        log.warning("anonymous access is on", extra={"open_to": whom})


def warn(warnings: Iterable[str]) -> None:
    """Log what the configuration is warned of."""
    for warning in warnings:
        log.warning(warning)


def restart_required(old: Config, new: Config) -> list[str]:
    """The settings that differ but take effect only with a restart."""
    return [path for path in _NEEDS_RESTART if _at(old, path) != _at(new, path)]


def kept(new: Config, old: Config) -> Config:
    """``new`` with the settings that take effect only with a restart as they are in ``old``."""
    for path in restart_required(old, new):
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
