"""One shared window in one process: quota it may use without asking, what it used, what others did."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, inf

from gateway.api import Tally
from gateway_stores.windows.quota import BUCKETS, Span
from gateway_stores.windows.window import Bucket, Window

FINE = 600
"""Parts a window is cut into for own uses; they are reported with the time of the newest in their bucket."""
COARSE = 12
"""The same where a limit is at least `LARGE` and less than one part in `SPARE` of it is used: some seconds
more or less decide nothing then, and the uses of many small requests are reported in a few figures."""
LARGE = 1000
DEMAND = 0.25
"""Seconds of demand to hold quota for; also how fast the measure of demand follows it."""
SPARE = 16
"""Of such a limit all processes together hold at most this part ahead of demand."""
AHEAD = 32
"""For so many requests like those that wait quota is held ahead."""


class Pool:
    """Quota of one window.

    Every use is in ``mine`` until the authority has counted it, then in the mirror of the authority's
    buckets. What is taken and not settled yet goes on being held: it is reported when its true amount is
    known, so no estimate has ever to be taken back.
    """

    __slots__ = (
        "free",
        "kind",
        "known",
        "mine",
        "mirror",
        "mirrored",
        "others",
        "others_until",
        "phase",
        "rate",
        "sent",
        "taken",
        "unsent",
    )

    def __init__(self, kind: str, limit: int, seconds: float) -> None:
        self.kind = kind
        self.mine = Window(limit, seconds, FINE)
        self.free = 0
        """Held and not taken; negative where more was used than was held."""
        self.unsent: dict[Bucket, int] = {}
        """Known amounts in buckets of ``mine`` that no ask has reported yet."""
        self.sent: dict[Bucket, int] = {}
        """Those that were reported, and not acknowledged."""
        self.mirror: deque[tuple[float, int]] = deque()
        """The authority's buckets: when each leaves (monotonic seconds), and its amount."""
        self.mirrored = 0
        self.others = 0
        """Held by other holders."""
        self.known = 0
        """`mirrored` and `others` together, as of the last `slide`."""
        self.others_until = inf
        """When that is over if nothing more is heard."""
        self.phase: float | None = None
        """When a bucket of the authority's left or leaves; all others do whole widths before and after."""
        self.taken = 0
        """Since the last ask."""
        self.rate = 0.0
        """Taken a second, lately."""

    @property
    def limit(self) -> int:
        return self.mine.limit

    @property
    def used(self) -> int:
        """By all, what others hold included, as of the last `slide`."""
        return self.known + self.mine.used

    def span(self) -> Span:
        return Span(self.mine.limit, self.mine.seconds)

    def change(self, limit: int, seconds: float) -> None:
        """Go on with other settings; quota granted under the old ones is given back."""
        if (limit, seconds) != (self.mine.limit, self.mine.seconds):
            self.mine.change(limit, seconds)
            self.free = min(self.free, 0)
            self.phase = None

    def slide(self, now: float) -> float:
        """Let go of what has left the window; when the next of it will (monotonic seconds)."""
        self.mine.slide(now)
        mirror = self.mirror
        while mirror and mirror[0][0] <= now:
            self.mirrored -= mirror.popleft()[1]
        if self.others_until <= now:
            self.others, self.others_until = 0, inf
        self.known = self.mirrored + self.others
        leaves = self.others_until if self.others else inf
        if mirror:
            leaves = min(leaves, mirror[0][0])
        if self.mine.buckets:
            leaves = min(leaves, self.mine.buckets[0].leaves)
        return leaves

    def take(self, amount: int, now: float) -> Bucket:
        """Take from what is held, beyond it if need be."""
        self.free -= amount
        self.taken += amount
        return self.mine.add(now, amount)

    def inherit(self, uses: Iterable[tuple[float, int]], others: int, now: float) -> None:
        """Begin with what an earlier process used and did not report, moments and amounts with the oldest
        first, and with what ``others`` have to report."""
        for at, amount in uses:
            self.use(self.take(amount, at), amount)
        self.taken = 0
        if others:
            self.others, self.others_until = others, now + self.mine.seconds

    def unacknowledged(self) -> Iterable[tuple[float, int]]:
        """Moments and amounts of what was used or reserved here, no finer than the authority keeps it, the
        oldest first."""
        width = self.mine.seconds / BUCKETS
        parts: dict[float, tuple[float, int]] = {}
        for bucket in self.mine.buckets:
            place = bucket.leaves // width
            _, amount = parts.get(place, (0.0, 0))
            parts[place] = bucket.leaves - self.mine.seconds, amount + bucket.count
        return [(at, amount) for at, amount in parts.values() if amount > 0]

    def use(self, bucket: Bucket, amount: int) -> None:
        """The amount of something taken is known: it can be reported."""
        self.unsent[bucket] = self.unsent.get(bucket, 0) + amount

    def settle(self, bucket: Bucket, amount: int, true: int, now: float) -> None:
        """What was taken as ``amount`` turned out to be ``true``."""
        if bucket.leaves > now:
            if true < amount:
                self.mine.refund(now, bucket, amount - true)
                self.free += amount - true
            self.use(bucket, min(true, amount))
        if true > amount:
            self.free -= true - amount
            self.use(self.mine.add(now, true - amount), true - amount)

    def release(self, bucket: Bucket, amount: int, now: float) -> None:
        """Undo a use, which may have been reported."""
        if bucket.leaves > now:
            if self.unsent.get(bucket, 0) >= amount:
                self.free += amount
            self.mine.refund(now, bucket, amount)
            self.use(bucket, -amount)

    def report(self, now: float, most: float) -> list[tuple[Bucket, int]]:
        """What is to be reported from now on, in ``most`` figures; nothing of it is given twice."""
        far = self.limit >= LARGE and self.used <= self.limit // SPARE
        self.mine.cut(COARSE if far else FINE)
        known = [(bucket, amount) for bucket, amount in self.unsent.items() if amount and bucket.leaves > now]
        count = max(int(min(most, len(known))), 0)
        self.unsent = dict(known[count:])
        self.sent = {bucket: amount for bucket, amount in self.sent.items() if bucket.leaves > now}
        for bucket, amount in known[:count]:
            self.sent[bucket] = self.sent.get(bucket, 0) + amount
        return known[:count]

    def acknowledge(self, bucket: Bucket, amount: int, now: float) -> None:
        """The authority has counted what was reported."""
        self.mine.refund(now, bucket, amount)
        if bucket in self.sent:
            self.sent[bucket] -= amount

    def held(self) -> int:
        """What is kept: what is free, and what was taken and not reported."""
        return self.free + self.mine.used - sum(self.sent.values())

    def placed(self) -> bool:
        """Whether it is known when the authority will let go of what it has not acknowledged."""
        return self.phase is not None or not (self.unsent or any(self.sent.values()))

    def ahead(self, holders: int) -> int:
        """What may be held ahead of demand: a little, and only far from the limit."""
        spare = self.limit // (SPARE * max(holders, 1))
        return spare if self.used + spare <= self.limit // 2 else 0

    def lasts(self, holders: int) -> float:
        """Seconds for which what is held will do, and no exchange is of use."""
        if not self.ahead(holders):
            return 0.0
        return 0.7 * self.free / self.rate if self.rate else inf

    def keep(self, waiting: Sequence[int], seconds: float, ahead: float, holders: int) -> tuple[int, int]:
        """Give back what is not wanted; what is needed and what is wanted beyond the rest. ``waiting`` are
        the amounts others wait for; ``seconds`` have passed since the last time; to hold for ``ahead``."""
        if seconds > 0:
            self.rate += (self.taken / seconds - self.rate) * (1 - exp(-seconds / DEMAND))
            self.taken = 0
        now = sum(waiting)
        soon = min(int(self.rate * ahead) + AHEAD * now, self.ahead(holders))
        wish = max(now + int(self.rate * DEMAND), soon)
        self.free = min(max(self.free, 0), wish)
        need = max(waiting[0] - self.free, 0) if waiting else 0
        return need, wish - self.free - need

    def learn(self, buckets: Iterable[tuple[float, int]], others: int, now: float, ttl: float) -> None:
        """What the authority said at ``now``. Its clock may go back: nothing stays longer than its window."""
        longest = self.mine.seconds * (1 + 1 / BUCKETS)
        self.mirror = deque((now + min(leaves, longest), amount) for leaves, amount in buckets)
        self.mirrored = sum(amount for _, amount in self.mirror)
        self.others, self.others_until = others, now + ttl + self.mine.seconds
        self.known = self.mirrored + others
        if self.mirror:
            self.phase = self.mirror[-1][0]

    def covers(self, amount: int) -> bool:
        """Whether what is held is enough for ``amount``. Where more was used than was allowed, what comes
        back is not free; but nothing always fits."""
        mine = self.mine
        return not amount or (self.free >= amount and self.known + mine.used + amount <= mine.limit)

    def fits(self, amount: int, sharers: int = 1) -> bool:
        """Whether ``amount`` more is within the limit, or within this process's equal part of what was left
        of it when all were last heard of."""
        return not amount or self.mine.used + amount <= (self.limit - self.known) // sharers

    def lacks_only_others(self, amount: int) -> bool:
        """Whether ``amount`` would fit if others held nothing."""
        return not amount or self.mirrored + self.mine.used + amount <= self.limit

    def reset(self, now: float) -> float:
        """Seconds until the window is empty, if nothing else comes."""
        if self.others:
            return self.mine.seconds
        return max(self.mine.reset(now), self.mirror[-1][0] - now if self.mirror else 0.0)

    def tally(self, now: float, buckets: Iterable[tuple[float, int]] | None) -> Tally:
        """What was used: by all as the authority counts it (``buckets``; None: as it did when last heard of),
        and here."""
        if buckets is None:
            buckets = [(leaves - now, amount) for leaves, amount in self.mirror]
        counted = [*buckets]
        reset = max([self.mine.reset(now), *(leaves for leaves, _ in counted)])
        return Tally(self.kind, self.limit, sum(amount for _, amount in counted), self.mine.used, reset)

    def wait(self, amount: int, now: float, sharers: int = 1) -> float:
        """Seconds until ``amount`` fits if nothing else comes; 0 if it does, `inf` if nothing but what others
        hold is in the way: they may give it back at any moment."""
        if self.fits(amount, sharers):
            return 0.0
        wait = self._until(amount, now, sharers, self.others)
        if wait == inf:
            wait = self._until(amount, now, sharers, 0) or inf
        return wait

    def _until(self, amount: int, now: float, sharers: int, others: int) -> float:
        """Seconds until ``amount`` fits beside what ``others`` hold; `inf` if it never does."""
        mine, known = self.mine.used, self.mirrored + others
        if mine + amount <= (self.limit - known) // sharers:
            return 0.0
        departures = [(leaves, 0, count) for leaves, count in self.mirror]
        for bucket in self.mine.buckets:
            told = self._told(bucket)
            departures.append((bucket.leaves, bucket.count - told, 0))
            if told:
                departures.append((self._left(bucket), told, 0))
        for leaves, own, mirrored in sorted(departures):
            mine -= own
            known -= mirrored
            if mine + amount <= (self.limit - known) // sharers:
                return leaves - now
        return inf

    def pending(self, amount: int, sharers: int = 1) -> bool:
        """Whether ``amount`` would fit if nothing were used of what is not settled here or held by others. Of
        requests nothing is to be settled."""
        used = sum(self._told(bucket) for bucket in self.mine.buckets)
        known = self.known if self.kind == "requests" else self.mirrored
        return used + amount <= (self.limit - known) // sharers

    def _told(self, bucket: Bucket) -> int:
        """The known amount in ``bucket``; the rest is not settled."""
        return self.unsent.get(bucket, 0) + self.sent.get(bucket, 0)

    def _left(self, bucket: Bucket) -> float:
        """When the authority will let go of what is in ``bucket``, once it is told."""
        if self.phase is None:
            return bucket.leaves
        width = self.mine.seconds / BUCKETS
        return self.phase + ((bucket.leaves - self.phase) // width + 1) * width


@dataclass(slots=True, eq=False)
class Reported:
    """A use that was sent and not acknowledged."""

    number: int
    pool: Pool
    bucket: Bucket
    amount: int

    def age(self, now: float, delay: float) -> float:
        """Seconds since the newest use in the bucket; of what is taken back since the oldest, and so long
        before that no delay of the message makes it younger: a younger bucket would leave too late."""
        if self.amount >= 0:
            return now - (self.bucket.leaves - self.pool.mine.seconds)
        return now - (self.bucket.closes - self.pool.mine.width) + delay
