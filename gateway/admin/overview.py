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
from gateway.admin import dependencies
from gateway.admin.errors import AdminError
from gateway.admin.providers import everywhere
from gateway.admin.state import AdminState
from gateway.admin.trail import only_read
from gateway.runtime import Live


async def health(state: AdminState) -> dict[str, Any]:
    """Every dependency with what is wrong and what to do, and what else an operator should know."""
    live = state.live
    parts, in_flight = await dependencies.everywhere(live)
    sound = all(one["status"] == "ok" for one in parts) and not live.reload_errors
    return {
        "status": "ok" if sound else "degraded",
        "version": __version__,
        "uptime_seconds": round(time.monotonic() - live.started, 3),
        "workers": live.site.workers,
        "draining": live.draining,
        "in_flight": in_flight,
        "anonymous_access": anonymous_access(live),
        "config": {
            "version": live.current.version,
            "reload_errors": live.reload_errors,
            "restart_required": state.reloader.waiting,
        },
        "dependencies": parts,
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


def _changes(entry: Mapping[str, Any]) -> bool:
    return not only_read(entry)


def anonymous_access(live: Live) -> str:
    """Who is served without a key."""
    clients = live.current.clients
    if clients.open_to_all:
        return "everyone"
    return "nobody" if clients.exist else "this machine"


async def _key_states(live: Live) -> dict[str, dict[str, int]]:
    """How many keys of each provider are in which state."""
    services = [*live.current.catalog.services.values()]
    known = await everywhere(live, services)
    return {
        service.id: dict(Counter(str(known[key.state.meter.subject]["state"]) for key in service.keys))
        for service in services
    }
