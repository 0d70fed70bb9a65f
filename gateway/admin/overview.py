"""The gateway itself: what it depends on and how that is, its plugins, and its audit trail."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gateway import __version__
from gateway import audit as audit_log
from gateway.admin.errors import AdminError
from gateway.admin.keystate import of_all
from gateway.admin.providers import everywhere
from gateway.admin.state import AdminState
from gateway.admin.trail import only_read
from gateway.api import StoreUnavailable, Trouble
from gateway.runtime import Live

PATIENCE = 1.0
"""Seconds in which a dependency must say that it is well."""
BEHIND = 30.0
"""Seconds that usage records may wait for the store before something is wrong."""


async def health(state: AdminState) -> dict[str, Any]:
    """Every dependency with what is wrong and what to do, and what else an operator should know."""
    live = state.live
    dependencies = await _dependencies(state)
    sound = all(one["status"] == "ok" for one in dependencies) and not live.reload_errors
    return {
        "status": "ok" if sound else "degraded",
        "version": __version__,
        "uptime_seconds": round(time.monotonic() - live.started, 3),
        "workers": live.site.workers,
        "draining": live.draining,
        "in_flight": live.in_flight,
        "anonymous_access": anonymous_access(live),
        "config": {
            "version": live.current.version,
            "reload_errors": live.reload_errors,
            "restart_required": state.reloader.waiting,
        },
        "dependencies": dependencies,
        "provider_keys": await _key_states(live),
    }


async def plugins(state: AdminState) -> list[dict[str, Any]]:
    """Every plugin that is installed, and why it fails to load if it does."""
    listed = await asyncio.to_thread(state.reloader.registry.listing)
    return [
        {
            "group": one.group,
            "name": one.name,
            "distribution": one.distribution,
            "version": one.version,
            "error": one.error,
        }
        for one in listed
    ]


async def audit(
    state: AdminState, limit: int = 100, before: int | None = None, *, changes: bool = False
) -> dict[str, Any]:
    """The newest entries of the audit log, newest first, and what to give as ``before`` for older ones; with
    ``changes`` without those of calls that only read. Raises `AdminError` 503."""
    if state.audit is None:
        return {"enabled": False, "entries": [], "next": None}
    try:
        wanted = _changes if changes else None
        entries, rest = await asyncio.to_thread(state.audit.newest, limit, before, wanted)
    except OSError as exc:
        raise AdminError(503, f"The audit log cannot be read: {exc.strerror}.") from None
    return {"enabled": True, "entries": entries, "next": rest}


async def verify(state: AdminState) -> dict[str, Any]:
    """Whether the chain of the audit log holds: how many lines do, the hash of the last one that does, and
    what is wrong with the next one, if anything. Raises `AdminError` 503."""
    if state.audit is None:
        return {"enabled": False, "lines": 0, "last": None, "fault": None}
    try:
        async with state.queries:  # a long file takes seconds of a core
            found = await asyncio.to_thread(audit_log.verify, state.audit.path)
    except FileNotFoundError:
        return {"enabled": True, "lines": 0, "last": None, "fault": None}
    except OSError as exc:
        raise AdminError(503, f"The audit log cannot be read: {exc.strerror}.") from None
    return {"enabled": True, **asdict(found)}


async def _dependencies(state: AdminState) -> list[dict[str, Any]]:
    live = state.live
    storage = live.current.config.storage
    found = [
        _dependency("storage.runtime", storage.runtime.type, live.store.trouble()),
        _dependency("storage.config", storage.config.type, await _config_trouble(live)),
        _dependency("storage.journal", "file", _journal_trouble(live)),
    ]
    if state.audit is not None:
        lost = state.audit.trouble
        trouble = lost and Trouble(f"A line could not be written: {lost}. Make room or mend the path.", 0.0)
        found.append(_dependency("logging.audit", "file", trouble or None))
    for sink, count in live.metrics.dropped().items():
        message = f"{count} lines were lost since the start: see the log for why."
        found.append(_dependency(f"sink {sink}", "log sink", Trouble(message, 0.0)))
    return found


def _changes(entry: Mapping[str, Any]) -> bool:
    return not only_read(entry)


def _dependency(name: str, type: str, trouble: Trouble | None) -> dict[str, Any]:
    return {
        "name": name,
        "type": type,
        "status": "degraded" if trouble else "ok",
        "message": trouble.message if trouble else None,
        "since": trouble.since or None if trouble else None,
    }


def _journal_trouble(live: Live) -> Trouble | None:
    journal = live.journal
    if journal.folder is not None and not journal.durable:
        return Trouble(
            f"Usage records are only in memory: {journal.folder} takes none. Make room, or mend the path.",
            0.0,
        )
    waiting = journal.oldest()
    if waiting is not None and waiting > BEHIND:
        return Trouble(
            f"{journal.pending} usage records wait for the store, for up to {waiting:.0f} s. They are kept: "
            "look at storage.runtime.",
            time.time() - waiting,
        )
    return None


async def _config_trouble(live: Live) -> Trouble | None:
    if live.managed.trouble is not None:
        return Trouble(live.managed.trouble, 0.0)
    try:
        async with asyncio.timeout(PATIENCE):
            await live.managed.store.version()
    except TimeoutError:
        return Trouble(f"It did not answer within {PATIENCE:.0f} s: look at its server.", 0.0)
    except StoreUnavailable as exc:
        return Trouble(str(exc), 0.0)
    if live.managed.unwritten is not None:
        message = f"Nothing can be changed here, as it cannot be written: {live.managed.unwritten}."
        return Trouble(message, 0.0)
    return None


def anonymous_access(live: Live) -> str:
    """Who is served without a key."""
    clients = live.current.clients
    if clients.open_to_all:
        return "everyone"
    return "nobody" if clients.exist else "this machine"


async def _key_states(live: Live) -> dict[str, dict[str, int]]:
    """How many keys of each provider are in which state."""
    known = await everywhere(live)
    return {
        service.id: dict(Counter(str(of_all(known, key)["state"]) for key in service.keys))
        for service in live.current.catalog.services.values()
    }
