"""The memory store: everything in one process, gone when it ends."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from gateway.api import Limits, Meter, Record, Refusal, Reservation
from gateway_stores.meter import Held, WindowMeter

KEPT_RECORDS = 10_000


@dataclass(eq=False)
class MemoryStore:
    """For one process: windows, cool-downs and the last `KEPT_RECORDS` usage records. No settings."""

    def __post_init__(self) -> None:
        self.shared = False
        self.clock: Callable[[], float] = time.monotonic
        """Monotonic seconds; tests put their own here before the first meter is made."""
        self._meters: dict[str, WindowMeter] = {}
        self._records: OrderedDict[tuple[str, float], Record] = OrderedDict()

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    def meter(self, subject: str, limits: Limits) -> WindowMeter:
        """The one meter of ``subject``; other limits than before take effect on what was used."""
        meter = self._meters.get(subject)
        if meter is None:
            meter = self._meters[subject] = WindowMeter(subject, limits, self.clock)
        elif meter.limits != limits:
            meter.configure(limits)
        return meter

    async def reserve(self, meter: Meter, tokens: int, *, force: bool = False) -> Reservation | Refusal:
        """All or nothing, at this moment."""
        assert isinstance(meter, WindowMeter)
        return meter.take(tokens, self.clock(), force=force)

    async def settle(self, reservation: Reservation, tokens: int) -> None:
        """Replace the estimate by the true figure; a second call does nothing."""
        assert isinstance(reservation, Held)
        assert isinstance(reservation.meter, WindowMeter)
        reservation.meter.settle(reservation, tokens, self.clock())

    async def release(self, reservation: Reservation) -> None:
        """Undo a reservation whose request was never made."""
        assert isinstance(reservation, Held)
        assert isinstance(reservation.meter, WindowMeter)
        reservation.meter.release(reservation, self.clock())

    async def cool(self, meter: Meter, seconds: float) -> None:
        """Keep the subject from being used for ``seconds``; 0 lifts it."""
        meter.cooled_until = max(meter.cooled_until, self.clock() + seconds) if seconds else 0.0

    async def append(self, records: Sequence[Record]) -> None:
        """Keep the records that are new; the oldest go when there are too many."""
        for record in records:
            self._records.setdefault((record.request_id, record.time), record)
        while len(self._records) > KEPT_RECORDS:
            self._records.popitem(last=False)

    async def recent(self, limit: int) -> list[Record]:
        """The newest records, newest first."""
        return list(islice(reversed(self._records.values()), limit))
