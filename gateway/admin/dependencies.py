"""What the gateway depends on and how that is: as this process sees it, and as all do together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.api import StoreUnavailable, Trouble
from gateway.audit import AuditLog
from gateway.peers import Answers
from gateway.runtime import Live

TOPIC = "admin.dependencies"
"""Asked of all processes (`Peers`): their `standing`."""
PATIENCE = 1.0
"""Seconds in which a dependency must say that it is well."""
BEHIND = 30.0
"""Seconds that usage records may wait for the store before something is wrong."""
RECENT = 600.0
"""Seconds for which lines that a log sink has lost are trouble."""

Json = Mapping[str, Any]


def standing(live: Live, audit: AuditLog | None) -> dict[str, Any]:
    """How each dependency is as far as this process knows, what log sinks lost, and requests in flight."""
    storage = live.current.config.storage
    found = [
        _dependency("storage.runtime", storage.runtime.type, live.store.trouble()),
        _dependency("storage.config", storage.config.type, _config_trouble(live)),
        _dependency("storage.journal", "file", _journal_trouble(live)),
    ]
    if audit is not None:
        found.append(_dependency("logging.audit", "file", _audit_trouble(audit)))
    return {"dependencies": found, "lost": live.metrics.lost(), "in_flight": live.in_flight}


async def everywhere(live: Live) -> tuple[list[dict[str, Any]], int]:
    """Every dependency, in trouble where it is for one of the processes; and all requests in flight."""
    parts = await live.peers.broadcast(TOPIC, None)  # with patience: who is only busy is not to be missing
    found = _together([part["dependencies"] for part in parts])
    if found["storage.config"]["status"] == "ok":
        type = found["storage.config"]["type"]
        found["storage.config"] = _dependency("storage.config", type, await _silence(live))
    sinks = _losing([part["lost"] for part in parts])
    silent = [_dependency("workers", "processes", _silent(parts, live))] if live.site.workers > 1 else []
    return [*found.values(), *silent, *sinks], sum(part["in_flight"] for part in parts)


def _together(parts: Sequence[Sequence[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """By name; of a dependency that is in trouble, what one of those says for whom it is."""
    found: dict[str, dict[str, Any]] = {}
    for part in parts:
        for one in part:
            if one["name"] not in found or one["status"] != "ok":
                found[one["name"]] = one
    return found


def _silent(parts: Answers, live: Live) -> Trouble | None:
    """What is wrong where not every worker answered."""
    missing = live.site.workers - len(parts)
    if not parts.whole:
        return Trouble("The supervisor does not answer: this is how one worker alone sees it.", 0.0)
    if missing <= 0:
        return None
    verb = "does" if missing == 1 else "do"
    return Trouble(
        f"{missing} of {live.site.workers} workers {verb} not answer: see the log. Figures of all "
        "workers are without theirs. One that hangs, or has ended, is replaced within half a minute.",
        0.0,
    )


def _losing(parts: Sequence[Json]) -> Iterator[dict[str, Any]]:
    """The log sinks that have lost lines of late, in whichever process."""
    for sink in dict.fromkeys(sink for part in parts for sink in part):
        losses = [part[sink] for part in parts if sink in part]
        count, ago = sum(count for count, _ in losses), time.monotonic() - max(last for _, last in losses)
        if ago < RECENT:
            message = f"{count} lines were lost, the last one {ago:.0f} s ago: see the log for why."
            yield _dependency(f"sink {sink}", "log sink", Trouble(message, 0.0))


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
    if journal.untaken:
        path, why = next(iter(journal.untaken.items()))
        more = f", one of {len(journal.untaken)} such files" if len(journal.untaken) > 1 else ""
        return Trouble(
            f"{path}: {why}{more}: usage records that another process left there are not counted. Let the "
            "gateway's user read what a gateway wrote, and move everything else out of that folder.",
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


def _audit_trouble(audit: AuditLog) -> Trouble | None:
    if (lost := audit.trouble) is None:
        return None
    return Trouble(f"A line could not be written: {lost}. Make room or mend the path.", 0.0)


def _config_trouble(live: Live) -> Trouble | None:
    managed = live.managed
    if managed.trouble is not None:
        return Trouble(managed.trouble, 0.0)
    if managed.unwritten is not None:
        return Trouble(f"Nothing can be changed here, because writing fails: {managed.unwritten}.", 0.0)
    return None


async def _silence(live: Live) -> Trouble | None:
    """What is wrong with ``storage.config`` if it does not answer now."""
    try:
        async with asyncio.timeout(PATIENCE):
            await live.managed.store.version()
    except TimeoutError:
        return Trouble(f"It did not answer within {PATIENCE:.0f} s: look at its server.", 0.0)
    except StoreUnavailable as exc:
        return Trouble(str(exc), 0.0)
    return None
