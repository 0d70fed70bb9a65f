"""The memory store: everything in one process, gone when it ends."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf

from gateway.api import (
    Conflict,
    Dimension,
    Document,
    Filter,
    Limits,
    Meter,
    Record,
    Refusal,
    Reservation,
    Site,
    TooOld,
    Total,
    Trouble,
)
from gateway.api.ledger import group_of
from gateway_stores.windows.meter import Held, WindowMeter

KEPT_RECORDS = 10_000
"""About 10 MB of memory."""


@dataclass(eq=False)
class MemoryStore:
    """For one process: windows, cached answers and the last `KEPT_RECORDS` usage records. No settings."""

    def __post_init__(self) -> None:
        self.shared = False
        self.clock: Callable[[], float] = time.monotonic
        """Monotonic seconds; tests put their own here before the first meter is made."""
        self._site = Site()
        self._meters: dict[str, WindowMeter] = {}
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._pruned = -inf
        """Seconds since the epoch: when the newest record was made that is gone because it was too old."""
        self._cache: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._cached_bytes = 0

    async def open(self, site: Site) -> None:
        """Nothing to do but to know the bounds of the cache."""
        self._site = site

    async def close(self) -> None:
        """Nothing to do."""

    def trouble(self) -> Trouble | None:
        """It has none."""
        return None

    def meter(self, subject: str, limits: Limits) -> WindowMeter:
        """The one meter of ``subject``; other limits than before take effect on what was used."""
        meter = self._meters.get(subject)
        if meter is None:
            meter = self._meters[subject] = WindowMeter(subject, limits, self.clock)
        elif meter.limits != limits:
            meter.configure(limits)
        return meter

    async def reserve(
        self, meter: Meter, tokens: int, *, cost: int = 0, force: bool = False, again: float = 0.0
    ) -> Reservation | Refusal:
        """All or nothing, at this moment."""
        assert isinstance(meter, WindowMeter)
        return meter.take(tokens, cost, self.clock(), force=force)

    async def settle(self, reservation: Reservation, tokens: int, cost: int = 0) -> None:
        """Replace the estimates by the true figures; a second call does nothing."""
        assert isinstance(reservation, Held)
        reservation.meter.settle(reservation, tokens, cost, self.clock())

    async def release(self, reservation: Reservation) -> None:
        """Undo a reservation whose request was never made."""
        assert isinstance(reservation, Held)
        reservation.meter.release(reservation, self.clock())

    def share(self, name: str, value: str, seconds: float) -> None:
        """There is nobody to tell."""

    async def append(self, records: Sequence[Record]) -> None:
        """Keep the records that are new; the oldest go when there are too many."""
        old = [record for record in records if record.time <= self._pruned and record.id not in self._records]
        for record in records:
            if record.time > self._pruned:
                self._records.setdefault(record.id, record)
        while len(self._records) > KEPT_RECORDS:
            self._records.popitem(last=False)
        if old:
            raise TooOld(old)

    async def requests(self, filter: Filter, limit: int, before: str | None = None) -> list[Record]:
        """The newest records that match, newest first."""
        found = sorted(self._matching(filter), key=lambda record: record.id, reverse=True)
        return list(islice((one for one in found if before is None or one.id < before), limit))

    async def request(self, id: str) -> Record | None:
        """The record with this id, or else the newest with this request id."""
        if id in self._records:
            return self._records[id]
        found = [record for record in self._records.values() if record.request_id == id]
        return max(found, key=lambda record: record.id, default=None)

    async def totals(self, filter: Filter, group_by: Sequence[Dimension]) -> list[Total]:
        """One total for each combination of the dimensions' values."""
        found: dict[tuple[str, ...], Total] = {}
        for record in self._matching(filter.for_totals()):
            group = group_of(record, group_by)
            found.setdefault(group, Total(group)).count(record)
        return [found[group] for group in sorted(found)]

    async def series(
        self, filter: Filter, step: float, group_by: Sequence[Dimension] = ()
    ) -> list[tuple[float, Total]]:
        """Totals of each ``step`` seconds from the filter's start on."""
        assert filter.start is not None
        found: dict[tuple[float, tuple[str, ...]], Total] = {}
        for record in self._matching(filter.for_totals()):
            begins = filter.start + (record.time - filter.start) // step * step
            group = group_of(record, group_by)
            found.setdefault((begins, group), Total(group)).count(record)
        return [(begins, found[begins, group]) for begins, group in sorted(found)]

    async def prune(self, requests: float, rollups: float) -> bool:
        """Forget records that are too old."""
        for record in [record for record in self._records.values() if record.time < requests]:
            self._pruned = max(record.time, self._pruned)
            del self._records[record.id]
        return False

    async def cache_get(self, key: str) -> bytes | None:
        """A cached answer that has not expired."""
        expires, value = self._cache.get(key, (0.0, b""))
        if expires > self.clock():
            return value
        self._drop(key)
        return None

    async def cache_put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep an answer; the oldest go where there are too many or they are too large together."""
        self._drop(key)
        self._cache[key] = self.clock() + seconds, value
        self._cached_bytes += len(value)
        while self._cache and (
            len(self._cache) > self._site.cache_entries or self._cached_bytes > self._site.cache_bytes
        ):
            self._drop(next(iter(self._cache)))

    def _drop(self, key: str) -> None:
        _, value = self._cache.pop(key, (0.0, b""))
        self._cached_bytes -= len(value)

    def _matching(self, filter: Filter) -> list[Record]:
        return [record for record in self._records.values() if filter.matches(record)]


@dataclass(eq=False)
class MemoryConfigStore:
    """Keeps changes made through the admin API until the process ends. No settings."""

    def __post_init__(self) -> None:
        self._document = Document("", b"")

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def read(self) -> Document:
        """The document as it is now."""
        return self._document

    async def version(self) -> str:
        """Its version."""
        return self._document.version

    async def write(self, data: bytes, expected: str) -> str:
        """Replace it. Raises `Conflict` if it is another version by now."""
        if self._document.version != expected:
            raise Conflict
        self._document = Document(str(int(expected or "0") + 1), data)
        return self._document.version
