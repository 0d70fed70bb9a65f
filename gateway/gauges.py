"""Gauges as they stand: what is in flight, the state of each provider key, and the use of its windows."""

from __future__ import annotations

import time
from collections.abc import Iterator

from gateway.metrics import Sample
from gateway.routing.penalty import KeyState, key_state
from gateway.runtime import Live


def gauges(live: Live) -> Iterator[Sample]:
    """Every gauge of the configuration of this moment. To be called on the event loop."""
    now = time.monotonic()
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
