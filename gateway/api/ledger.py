"""Questions to the usage records, and the totals that answer them."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from gateway.api.record import Record

Dimension = Literal["client", "provider", "key", "model"]
DIMENSIONS: tuple[Dimension, ...] = ("client", "provider", "key", "model")

LATENCY_BOUNDS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 120_000, 300_000)
"""Upper bounds of the classes that latencies are counted in, in milliseconds; beyond the last is one more."""
_CLASSES: tuple[tuple[float, float], ...] = (*pairwise((0, *LATENCY_BOUNDS, math.inf)),)

LARGEST_COST = 2**53
"""Nano-dollars of one request, some nine million dollars: what costs more is counted with so much. Every
store keeps it exactly, and so do readers of JSON that have but doubles."""
LARGEST_SUM = 2**63 - 1
"""Of any figure: a sum that would be more is this, the most that SQL and Redis can count to."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are meant; None means any. Names that a record lacks are empty strings here."""

    start: float | None = None
    """From this moment on; seconds since the epoch."""
    end: float | None = None
    """Before this moment."""
    client: str | None = None
    provider: str | None = None
    key: str | None = None
    model: str | None = None
    status: int | None = None
    """A status, or a class of them by its first digit (4: 400 to 499)."""
    error: str | None = None
    """An error code."""
    slower_than_ms: float | None = None
    dearer_than_nano: int | None = None

    def matches(self, record: Record) -> bool:
        """Whether ``record`` is one of them."""
        return (
            (self.start is None or record.time >= self.start)
            and (self.end is None or record.time < self.end)
            and self._names(record)
            and (self.status is None or self.status in (record.status, record.status // 100))
            and (self.error is None or record.error == self.error)
            and (self.slower_than_ms is None or record.total_ms > self.slower_than_ms)
            and (self.dearer_than_nano is None or (record.cost_nano_usd or 0) > self.dearer_than_nano)
        )

    def names(self) -> dict[str, str]:
        """The values of dimensions that are asked for, by dimension."""
        return {name: value for name in DIMENSIONS if (value := getattr(self, name)) is not None}

    def for_totals(self) -> Filter:
        """What `Store.totals` and `Store.series` look at of it: the range and the dimensions."""
        return replace(self, status=None, error=None, slower_than_ms=None, dearer_than_nano=None)

    def _names(self, record: Record) -> bool:
        return all(
            (wanted := getattr(self, name)) is None or wanted == (getattr(record, name) or "")
            for name in DIMENSIONS
        )


@dataclass(slots=True)
class Total:
    """What a number of requests come to. All figures are whole numbers, so sums are exact, up to
    `LARGEST_SUM`."""

    group: tuple[str, ...] = ()
    """The values of the dimensions that were asked for."""
    requests: int = 0
    errors: int = 0
    """Requests that ended with an error, in the client's eyes or ours (499 is one)."""
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano: int = 0
    """Nano-dollars, of the requests whose price is known."""
    unpriced: int = 0
    """Requests that used tokens at an unknown price."""
    duration_us: int = 0
    """Sum of total times, microseconds."""
    first_token_us: int = 0
    first_tokens: int = 0
    """How many requests have a first-token time."""
    latencies: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    """Requests by total time: one class for each of `LATENCY_BOUNDS` and one beyond."""

    def count(self, record: Record) -> None:
        """Add one record."""
        self.requests += 1
        self.errors += record.error is not None or record.status >= 400
        self.input_tokens += record.input_tokens
        self.cached_tokens += record.cached_tokens
        self.output_tokens += record.output_tokens
        self.reasoning_tokens += record.reasoning_tokens
        if record.cost_nano_usd is not None:
            self.cost_nano = min(self.cost_nano + record.cost_nano_usd, LARGEST_SUM)
        elif record.input_tokens or record.output_tokens:
            self.unpriced += 1
        self.duration_us += round(record.total_ms * 1000)
        if record.first_token_ms is not None:
            self.first_tokens += 1
            self.first_token_us += round(record.first_token_ms * 1000)
        self.latencies[bisect_left(LATENCY_BOUNDS, record.total_ms)] += 1

    def add(self, other: Total) -> None:
        """Add another total's figures; the group stays."""
        for name in SUMS:
            setattr(self, name, min(getattr(self, name) + getattr(other, name), LARGEST_SUM))
        self.latencies = [mine + theirs for mine, theirs in zip(self.latencies, other.latencies, strict=True)]

    def percentile_ms(self, share: float) -> float | None:
        """The total time that ``share`` (0 to 1) of the requests did not exceed: an estimate, interpolated
        in the class it lies in; None without requests."""
        if not self.requests:
            return None
        wanted, below = max(math.ceil(share * self.requests), 1), 0
        for at, count in enumerate(self.latencies):
            if below + count >= wanted:
                low, high = self._spread(at)
                return low + (high - low) * (wanted - 0.5 - below) / count
            below += count
        return float(LATENCY_BOUNDS[-1])

    def _spread(self, at: int) -> tuple[float, float]:
        """The widest part of a class over which its requests can be spread evenly, with a mean that the sum
        of all times allows. Of the class without an upper bound it is what its mean is at least."""
        (low, high), count = _CLASSES[at], self.latencies[at]
        least = most = self.duration_us / 1000
        for other, number in enumerate(self.latencies):
            if number and other != at:
                lower, upper = _CLASSES[other]
                least -= upper * number
                most -= lower * number
        least, most = least / count, most / count
        if high == math.inf:
            return (max(low, least),) * 2
        return max(low, min(2 * least - high, high)), min(high, max(2 * most - low, low))


SUMS = (
    "requests",
    "errors",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_nano",
    "unpriced",
    "duration_us",
    "first_token_us",
    "first_tokens",
)
"""The fields of `Total` that simply add up."""


def group_of(record: Record, group_by: Sequence[Dimension]) -> tuple[str, ...]:
    """The values that ``record`` has in these dimensions; empty strings where it has none."""
    return tuple(getattr(record, name) or "" for name in group_by)
