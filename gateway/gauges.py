"""Gauges as they stand: what is in flight, the state of each provider key, and the use of its windows."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from gateway.metrics import Sample
from gateway.routing.penalty import KeyState, key_state
from gateway.runtime import Live

_RULES: Mapping[str, Callable[[float, float], float]] = {
    "in_flight_requests": operator.add,
    "journal_pending_records": operator.add,
    "journal_durable": min,
}
_GRAVEST = (KeyState.DISABLED, KeyState.COOLING, KeyState.OPEN, KeyState.LIMITED, KeyState.ACTIVE)


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
            readings = key.state.meter.readings()  # also lets the windows slide, before the state is told
            circuits = [model.circuit for model in key.state.models.values()]
            current = key_state(key.state.penalty, key.state.meter, circuits, now)
            if key.state.off:
                current = KeyState.DISABLED
            for state in KeyState:
                yield Sample("key_state", (service.id, key.id, state), float(state is current))
            for reading in readings:
                yield Sample(
                    "key_window_ratio", (service.id, key.id, reading.kind), reading.used / reading.limit
                )


def together(samples: Iterable[Sample]) -> list[Sample]:
    """The gauges of one service from those of its processes: counts are added up, of a key's states the
    gravest is told, of all else what is worst."""
    found: dict[Any, float] = {}
    states: dict[tuple[str, ...], KeyState] = {}
    for name, labels, value in samples:
        if name == "key_state":
            state = KeyState(labels[-1])
            if value and _GRAVEST.index(state) <= _GRAVEST.index(states.get(labels[:-1], KeyState.ACTIVE)):
                states[labels[:-1]] = state
        else:
            before = found.get((name, labels))
            found[name, labels] = value if before is None else _RULES.get(name, max)(before, value)
    for key, gravest in states.items():
        for state in KeyState:
            found["key_state", (*key, state)] = float(state is gravest)
    return [Sample(name, labels, value) for (name, labels), value in found.items()]
