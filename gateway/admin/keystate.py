"""How each provider key stands: as this process knows it, and as all processes know it together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.admin.pace import paced
from gateway.admin.windows import Windows, windows_json
from gateway.catalog import Key
from gateway.routing.memory import KeyState, KeyStatus
from gateway.runtime import Live

TOPIC = "admin.keys"
"""Asked of all processes (`Peers`): their `standing`."""

Standing = dict[str, Any]
"""How one key stands but for its windows, as plain JSON values; times are seconds from now."""

_LIMITING = ("requests", "tokens", "session")
"""The windows that make a key limited where they are full."""


async def standing(live: Live) -> dict[str, Standing]:
    """Every key of the current configuration, by its subject, as this process knows it."""
    keys = [key for service in live.current.catalog.services.values() for key in service.keys]
    return {key.state.meter.subject: key_standing(key) async for key in paced(keys)}


def key_standing(key: Key) -> Standing:
    """One key, as this process knows it."""
    state, now = key.state, time.monotonic()
    cooled = max(state.meter.cooled_until - now, 0.0)
    return {
        "state": state.status(now),
        "switched_off": state.off,
        "cooled_seconds": round(cooled, 3),
        "in_flight": state.meter.in_flight,
        "error_rate": max((model.health.error_rate(now) for model in state.models.values()), default=0.0),
        "last_error": state.last_error,
        "last_error_at": state.last_error_at,
        "models": _models(state, now),
        "upstream_headroom": _headroom(state, now),
    }


def of_all(known: Mapping[str, Standing], key: Key) -> Standing:
    """One key, as all processes know it. If it came with a reload only after they were asked: as we do."""
    return known.get(key.state.meter.subject) or key_standing(key)


def together(parts: Sequence[Mapping[str, Standing]]) -> dict[str, Standing]:
    """What all processes know: requests in flight are added up, of states the gravest counts, of all other
    figures the greatest, and of errors and headroom the newest that any has seen."""
    found: dict[str, Standing] = {}
    for part in parts:
        for subject, theirs in part.items():
            found[subject] = _merged(found[subject], theirs) if subject in found else theirs
    return found


def with_windows(known: Standing, windows: Windows) -> Standing:
    """The key with its windows; whether it is limited is told by these alone: one process may be refused what
    others only hold, or not have heard of what they used."""
    status = known["state"]
    if status in (KeyStatus.ACTIVE, KeyStatus.LIMITED):
        full = any(reading.used >= reading.limit for kind, reading in windows.items() if kind in _LIMITING)
        status = KeyStatus.LIMITED if full else KeyStatus.ACTIVE
    return {**known, "state": status, "windows": windows_json(windows)}


def _models(state: KeyState, now: float) -> dict[str, Any]:
    return {
        name: {
            "circuit": model.circuit.state(now),
            "error_rate": model.health.error_rate(now),
            "latency_ms": round(model.health.latency * 1000, 3) or None,
        }
        for name, model in state.models.items()
        if name
    }


def _headroom(state: KeyState, now: float) -> dict[str, Any] | None:
    """What the upstream last announced, for whichever model that was; None if it never did."""
    found = [(model.headroom.newest(now), name) for name, model in state.models.items()]
    newest = min(
        ((said, name) for said, name in found if said is not None),
        key=lambda pair: pair[0].seconds_ago,
        default=None,
    )
    if newest is None:
        return None
    said, name = newest
    return {
        "model": name or None,
        "seconds_ago": round(said.seconds_ago, 3),
        "windows": {
            kind: {"limit": window.limit, "remaining": window.remaining, "reset_seconds": window.reset}
            for kind, window in said.windows.items()
        },
    }


def _merged(ours: Standing, theirs: Standing) -> Standing:
    latest = max(ours, theirs, key=lambda part: float(part["last_error_at"] or 0))
    return {
        "state": KeyStatus.gravest((ours["state"], theirs["state"])),
        "switched_off": ours["switched_off"] or theirs["switched_off"],
        "cooled_seconds": max(ours["cooled_seconds"], theirs["cooled_seconds"]),
        "in_flight": ours["in_flight"] + theirs["in_flight"],
        "error_rate": max(ours["error_rate"], theirs["error_rate"]),
        **{name: latest[name] for name in ("last_error", "last_error_at")},
        "models": {**ours["models"], **_worse(ours["models"], theirs["models"])},
        "upstream_headroom": min(
            (part["upstream_headroom"] for part in (ours, theirs) if part["upstream_headroom"]),
            key=lambda said: float(said["seconds_ago"]),
            default=None,
        ),
    }


def _worse(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: max(ours.get(name, model), model, key=lambda model: float(model["error_rate"]))
        for name, model in theirs.items()
    }
