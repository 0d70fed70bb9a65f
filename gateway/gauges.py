"""Gauges as they stand: what is in flight, the state of each provider key, and the use of its windows."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from gateway.metrics import Sample
from gateway.routing.memory import KeyStatus
from gateway.runtime import Live

_RULES: Mapping[str, Callable[[float, float], float]] = {
    "in_flight_requests": operator.add,
    "journal_pending_records": operator.add,
    "journal_durable": min,
}


def gauges(live: Live) -> Iterator[Sample]:
    """Every gauge of the configuration of this moment. To be called on the event loop."""
    now = time.monotonic()
    degraded = live.store.trouble() is not None
    yield Sample("store_degraded", (live.current.config.storage.runtime.type,), float(degraded))
    yield Sample("config_invalid", (), float(bool(live.reload_errors)))
    yield Sample("journal_pending_records", (), live.journal.pending)
    if live.journal.folder is not None:
        yield Sample("journal_durable", (), float(live.journal.durable))
    for service in live.current.catalog.services.values():
        in_flight = sum(key.state.meter.in_flight for key in service.keys)
        yield Sample("in_flight_requests", (service.id,), in_flight)
        for key in service.keys:
            readings = key.state.meter.readings()  # also lets the windows slide, before the status is told
            current = key.state.status(now)
            for status in KeyStatus:
                yield Sample("key_state", (service.id, key.id, status), float(status is current))
            for reading in readings:
                yield Sample(
                    "key_window_ratio", (service.id, key.id, reading.kind), reading.used / reading.limit
                )


def together(samples: Iterable[Sample]) -> list[Sample]:
    """The gauges of one service from those of its processes: counts are added up, of a key's states the
    gravest is told, of all else what is worst."""
    found: dict[Any, float] = {}
    statuses: dict[tuple[str, ...], set[str]] = {}
    for name, labels, value in samples:
        if name == "key_state":
            if value:
                statuses.setdefault(labels[:-1], set()).add(labels[-1])
        else:
            before = found.get((name, labels))
            found[name, labels] = value if before is None else _RULES.get(name, max)(before, value)
    for key, told in statuses.items():
        gravest = KeyStatus.gravest(told)
        for status in KeyStatus:
            found["key_state", (*key, status)] = float(status is gravest)
    return [Sample(name, labels, value) for (name, labels), value in found.items()]
