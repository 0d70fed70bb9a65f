"""How windows stand in all processes together, whichever of them is asked and whatever it knows itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.admin.pace import paced
from gateway.api import Meter, Reading, StoreUnavailable, Surveying, Tally
from gateway.peers import Answers
from gateway.runtime import Live

TOPIC = "admin.windows"
"""Asked of all processes (`Peers`): what each knows of these subjects."""

Known = Mapping[str, Mapping[str, Sequence[Any]]]
"""The figures of a `Tally` as plain JSON values, by subject and kind."""
Windows = Mapping[str, Reading]
"""The windows of one subject, by kind."""


async def windows_of(live: Live, meters: Iterable[Meter]) -> dict[str, Windows]:
    """Every window of these meters that has a limit, by subject. The store is asked once for all; what no
    process has told it yet is added. While it does not answer: as far as the processes know."""
    asked = list({meter.subject: meter for meter in meters}.values())
    surveyed = dict(zip((meter.subject for meter in asked), await _surveyed(live, asked), strict=True))
    limited = [subject for subject, tallies in surveyed.items() if tallies]
    told = await live.peers.gather(TOPIC, limited) if limited else Answers(())
    return {
        subject: {tally.kind: _together(tally, _same(told, subject, tally.kind)) for tally in tallies}
        async for subject, tallies in paced(surveyed.items())
    }


async def known(live: Live, subjects: Sequence[str]) -> Known:
    """What this process knows of windows that are not empty."""
    return {
        subject: {
            tally.kind: list(tally) for tally in _tallies(live, meter) if tally.counted or tally.pending
        }
        async for subject in paced(subjects)
        if (meter := _meter(live, subject)) is not None
    }


def windows_json(windows: Windows) -> dict[str, Any]:
    """As the admin API has them."""
    return {
        kind: {"limit": reading.limit, "used": reading.used, "reset_seconds": reading.reset}
        for kind, reading in windows.items()
    }


async def _surveyed(live: Live, meters: Sequence[Meter]) -> Sequence[Sequence[Tally]]:
    if isinstance(live.store, Surveying):
        try:
            return await live.store.survey(meters)
        except StoreUnavailable:
            pass
    return [_tallies(live, meter) for meter in meters]


def _tallies(live: Live, meter: Meter) -> list[Tally]:
    if isinstance(live.store, Surveying):
        return live.store.tallies(meter)
    return [Tally(kind, limit, used, 0, reset) for kind, limit, used, reset in meter.readings()]


def _meter(live: Live, subject: str) -> Meter | None:
    """None for one that came with a configuration that is not in force here, or is so no longer."""
    scope, _, name = subject.partition(":")
    if scope == "key":
        key = live.memory.keys.get(subject)
        return None if key is None else key.meter
    client = live.current.clients.named(name)
    return None if client is None else client.meter


def _same(told: Iterable[Known], subject: str, kind: str) -> list[Tally]:
    """What the processes told of one window."""
    found = (part.get(subject, {}).get(kind) for part in told)
    return [Tally(*values) for values in found if values is not None]


def _together(surveyed: Tally, told: Sequence[Tally]) -> Reading:
    """Processes answer after the store did, and may know of uses that it has counted since: the greatest
    count is the newest."""
    counted = max(tally.counted for tally in (surveyed, *told))
    pending = sum(tally.pending for tally in told)
    reset = max(tally.reset for tally in (surveyed, *told))
    return Reading(surveyed.kind, surveyed.limit, max(counted + pending, 0), reset)
