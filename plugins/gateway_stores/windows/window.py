"""A sliding window: what was used in the last so many seconds, never too little, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from gateway.api import Limits

MINUTE = 60.0
CUTS = 120
"""Parts a window is cut into: one bucket takes what arrives within the time of one of them."""


class Bucket:
    """What arrived within a short time. It leaves its window whole, when the newest of it leaves."""

    __slots__ = ("closes", "count", "leaves", "reserved")

    def __init__(self, closes: float, leaves: float, count: int) -> None:
        self.closes = closes
        self.leaves = leaves
        self.count = count
        self.reserved = 0
        """As much of it may turn out not to be used."""


class Window:
    """Counts what was used in the last ``seconds``.

    Everything counts for at least ``seconds`` and at most one bucket longer, so in no interval of that
    length is more than ``limit`` admitted; what arrives alone in its bucket counts exactly so long.
    Times are monotonic seconds and never run backwards. A window holds at most ``cuts`` + 2 buckets.
    """

    __slots__ = ("buckets", "cuts", "limit", "seconds", "used", "width")

    def __init__(self, limit: int, seconds: float, cuts: int = CUTS) -> None:
        self.limit = limit
        self.seconds = seconds
        self.cuts = cuts
        self.width = seconds / cuts
        self.used = 0
        self.buckets: deque[Bucket] = deque()

    def cut(self, cuts: int) -> None:
        """Go on more or less finely, beginning with the next bucket."""
        self.cuts, self.width = cuts, self.seconds / cuts

    def slide(self, now: float) -> None:
        """Let go of what has left the window."""
        buckets = self.buckets
        while buckets and buckets[0].leaves <= now:
            self.used -= buckets.popleft().count

    def add(self, now: float, count: int) -> Bucket:
        """Count ``count`` more, beyond the limit if need be; return the bucket they are in."""
        self.used += count
        if self.buckets and now < (newest := self.buckets[-1]).closes:
            newest.count += count
            newest.leaves = now + self.seconds
            return newest
        bucket = Bucket(now + self.width, now + self.seconds, count)
        self.buckets.append(bucket)
        return bucket

    def refund(self, now: float, bucket: Bucket, count: int) -> None:
        """Take back ``count`` of what is in ``bucket``, unless that has left already."""
        if bucket.leaves > now:
            bucket.count -= count
            self.used -= count

    def reserve(self, now: float, count: int) -> Bucket:
        """As `add`, of what is not known before `settle`."""
        bucket = self.add(now, count)
        bucket.reserved += count
        return bucket

    def settle(self, now: float, bucket: Bucket, count: int, true: int) -> None:
        """What was reserved as ``count`` turned out to be ``true``: refund what was too much, charge what was
        too little now."""
        bucket.reserved -= count
        if true < count:
            self.refund(now, bucket, count - true)
        elif true > count:
            self.add(now, true - count)

    def pending(self, count: int) -> bool:
        """Whether ``count`` more would fit if nothing of what is reserved were used."""
        return self.used - sum(bucket.reserved for bucket in self.buckets) + count <= self.limit

    def wait(self, now: float, count: int) -> float:
        """Seconds until ``count`` more (at most the limit) fit in, if nothing else comes."""
        excess = self.used + count - self.limit if count else 0
        moment = now
        for bucket in self.buckets:
            if excess <= 0:
                break
            excess -= bucket.count
            moment = bucket.leaves
        return moment - now

    def reset(self, now: float) -> float:
        """Seconds until the window is empty, if nothing else comes."""
        return self.buckets[-1].leaves - now if self.buckets else 0.0

    def change(self, limit: int, seconds: float) -> None:
        """Go on with other settings. A longer window cannot recall what the shorter one let go."""
        for bucket in self.buckets:
            bucket.leaves += seconds - self.seconds
        self.limit, self.seconds, self.width = limit, seconds, seconds / self.cuts


def limited(limits: Limits) -> Iterator[tuple[str, int, float]]:
    """The windows that these stand for, in one order: kind, limit, seconds."""
    for kind, limit, seconds in (
        ("requests", limits.requests, MINUTE),
        ("tokens", limits.tokens, MINUTE),
        ("session", limits.session, limits.session_seconds),
        ("budget", limits.budget, limits.budget_seconds),
    ):
        if limit:
            yield kind, limit, seconds
