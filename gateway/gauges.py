"""Gauges as they stand: what is in flight, the state of each provider key, and the use of its windows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from gateway.metrics import Sample
from gateway.routing.penalty import KeyState, key_state
from gateway.runtime import Live

_GRAVEST = (KeyState.DISABLED, KeyState.COOLING, KeyState.OPEN, KeyState.LIMITED, KeyState.ACTIVE)


def gauges(live: Live) -> Iterator[Sample]:
    """Every gauge of the configuration of this moment. To be called on the event loop."""
    now = time.monotonic()
    degraded = live.store.trouble() is not None
    yield Sample("store_degraded", (live.current.config.storage.runtime.type,), float(degraded))
    for service in live.current.catalog.services.values():
        in_flight = sum(key.state.meter.in_flight for key in service.keys)
        yield Sample("in_flight_requests", (service.id,), in_flight)
        for key in service.keys:
            readings = key.state.meter.readings()  # also lets the windows slide, before the state is told
            circuits = [model.circuit for model in key.state.models.values()]
            current = key_state(key.state.penalty, key.state.meter, circuits, now)
            for state in KeyState:
                yield Sample("key_state", (service.id, key.id, state), float(state is current))
            for reading in readings:
                yield Sample(
                    "key_window_ratio", (service.id, key.id, reading.kind), reading.used / reading.limit
                )


def together(samples: Iterable[Sample]) -> list[Sample]:
    """The gauges of one service from those of its processes: requests in flight are added up, of a key's
    states the gravest counts, of all else the greatest."""
    found: dict[Any, float] = {}
    states: dict[tuple[str, ...], KeyState] = {}
    for name, labels, value in samples:
        if name == "key_state":
            state = KeyState(labels[-1])
            if value and _GRAVEST.index(state) <= _GRAVEST.index(states.get(labels[:-1], KeyState.ACTIVE)):
                states[labels[:-1]] = state
        elif name == "in_flight_requests":
            found[name, labels] = found.get((name, labels), 0.0) + value
        else:
            found[name, labels] = max(found.get((name, labels), 0.0), value)
    for key, gravest in states.items():
        for state in KeyState:
            found["key_state", (*key, state)] = float(state is gravest)
    return [Sample(name, labels, value) for (name, labels), value in found.items()]
