"""One subject's shared windows in one process: taken from what is held, refused, settled."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from math import inf

from gateway.api import Limits, Reading, Refusal, Tally
from gateway_stores.windows.correspondence import Correspondence
from gateway_stores.windows.holdings import Holdings
from gateway_stores.windows.meter import GUESS, refused, weight
from gateway_stores.windows.pool import Pool
from gateway_stores.windows.quota import Answer, Ask
from gateway_stores.windows.unreported_file import Usage
from gateway_stores.windows.window import Bucket

MOST_WAITING = 100
"""For so many of those who wait quota is asked at once."""


@dataclass(slots=True, eq=False)
class Taken:
    """A granted reservation, and which buckets hold what of it."""

    meter: LeasedMeter
    request: tuple[Pool, Bucket] | None
    charges: list[tuple[Pool, Bucket, int]]
    spent: tuple[Pool, Bucket, int] | None = None
    settled: bool = False


@dataclass(slots=True, eq=False)
class Waiting:
    """A reservation that waits for quota."""

    tokens: int
    cost: int
    again: float
    """Seconds within which it will wait anew if it is refused; 0: it will not."""
    outcome: asyncio.Future[Taken | Refusal]
    tries: int = 0


class LeasedMeter:
    """Implements `gateway.api.Meter`. It sends nothing: `ask` and `answered` are called for it."""

    def __init__(
        self, subject: str, limits: Limits, clock: Callable[[], float], numbers: Iterator[int]
    ) -> None:
        self.subject = subject
        self.in_flight = 0
        self.cooled_until = 0.0
        self.asleep = True
        """Has nothing to tell and holds nothing: it need not be asked for anything at all."""
        self.waiting: deque[Waiting] = deque()
        self.again_at = 0.0
        """Loop time before which it is no use to ask again for those who wait."""
        self.futile_until = 0.0
        """Loop time until which others are known not to give back what they hold."""
        self._clock = clock
        self._holdings = Holdings()
        self._slots = self._holdings.slots
        self._letters = Correspondence(subject, self._holdings, numbers)
        self.configure(limits)

    @property
    def holders(self) -> int:
        """As many processes used this subject when it was last heard of; 0 if it never was."""
        return self._letters.holders

    @property
    def rests_until(self) -> float:
        """Until then no exchange is of use, unless somebody waits (monotonic seconds)."""
        return self._letters.leisure_until

    def configure(self, limits: Limits) -> None:
        """Go on with other limits; a window that stays limited keeps what was used."""
        self.limits = limits
        self._holdings.change(limits)
        pools = self._pools = self._holdings.pools
        self._requests, self._budget = pools.get("requests"), pools.get("budget")
        self._token_pools = [pools[kind] for kind in ("tokens", "session") if kind in pools]
        self._shortest = min((pool.mine.seconds for pool in pools.values()), default=inf)
        self._letters.outdate()
        self.limited = bool(pools or limits.parallel)
        self.request_share = 0.0
        self.refresh(self._clock())

    def refresh(self, now: float) -> None:
        """Let windows slide to ``now`` (monotonic seconds)."""
        self.valid_until = self._holdings.slide(now)
        self._share(now)

    def readings(self) -> list[Reading]:
        """Every window that has a limit, as of now; what other processes hold counts as used."""
        now = self._clock()
        if now >= self.valid_until:
            self.refresh(now)
        readings = [
            Reading(kind, pool.limit, pool.used, pool.reset(now)) for kind, pool in self._pools.items()
        ]
        if self.limits.parallel:
            slots = self.in_flight + self._slots.others
            readings.append(Reading("parallel", self.limits.parallel, slots, 0.0))
        return readings

    def look(self, holder: str) -> Ask:
        """Only ask how things stand."""
        return Ask(self.subject, holder, 0, self._holdings.spans(), {}, {}, {})

    def tallies(self, seen: Answer | None = None) -> list[Tally]:
        """Every window that has a limit, by the answer to a `look`, or by what was heard last. What others
        hold does not count while they live: they may never use it."""
        now = self._clock()
        if now >= self.valid_until:
            self.refresh(now)
        known = None if seen is None or seen.stale else seen.buckets
        tallies = [
            pool.tally(now, None if known is None else known.get(kind, ()))
            for kind, pool in self._pools.items()
        ]
        if self.limits.parallel:
            tallies.append(Tally("parallel", self.limits.parallel, 0, self.in_flight, 0.0))
        return tallies

    def inherit(self, uses: Collection[Usage], of_others: Collection[Usage]) -> None:
        """Begin with what an earlier process used of it and did not report, and with what others have to."""
        now = self._clock()
        for kind, pool in self._pools.items():
            begins = now - pool.mine.seconds
            own, theirs = (
                sorted((one.at, one.amount) for one in usages if one.kind == kind and one.at > begins)
                for usages in (uses, of_others)
            )
            pool.inherit(own, sum(amount for _, amount in theirs), now)
        self.refresh(now)

    def unacknowledged(self) -> Iterator[Usage]:
        """What was used or reserved here, and is not counted by the authority."""
        for kind, pool in self._pools.items():
            for at, amount in pool.unacknowledged():
                yield Usage(self.subject, kind, at, amount)

    def take(self, tokens: int, cost: int, now: float, *, force: bool = False) -> Taken | None:
        """Reserve one request, ``tokens``, ``cost`` nano-dollars and a slot from what is held; None if that
        is not enough, or may be used no more. ``force`` takes what is not held, too."""
        if now >= self.valid_until:
            self.refresh(now)
        if self.limited and not (force or self._held(tokens, cost, now)):
            return None
        self.in_flight = self._slots.take()
        taken = Taken(self, None, [])
        if self._pools:
            if self._requests is not None:
                bucket = self._requests.take(1, now)
                self._requests.use(bucket, 1)
                taken.request = self._requests, bucket
            for pool in self._token_pools:
                amount = min(tokens, pool.mine.limit)
                taken.charges.append((pool, pool.take(amount, now), amount))
            if self._budget is not None:
                amount = min(cost, self._budget.mine.limit)
                taken.spent = self._budget, self._budget.take(amount, now), amount
            self._share(now)
        return taken

    def settle(self, taken: Taken, tokens: int, cost: int, now: float) -> None:
        """Free the slot; count what was used in place of what was reserved."""
        if taken.settled:
            return
        taken.settled = True
        self.in_flight = self._slots.free_one()
        if now >= self.valid_until:
            self.refresh(now)
        for pool, bucket, amount in taken.charges:
            pool.settle(bucket, amount, tokens, now)
        if taken.spent is not None:
            pool, bucket, amount = taken.spent
            pool.settle(bucket, amount, cost, now)
        if self._pools:
            self._share(now)

    def release(self, taken: Taken, now: float) -> None:
        """Undo what was taken, as if it had never been."""
        if not taken.settled and taken.request is not None:
            pool, bucket = taken.request
            pool.release(bucket, 1, now)
        self.settle(taken, 0, 0, now)

    def refusal(self, tokens: int, cost: int, now: float, sharers: int = 1) -> Refusal | None:
        """What refuses, going by what is known of all processes; None if there should be room.
        With ``sharers``: by this process's equal part of it."""
        if now >= self.valid_until:
            self.refresh(now)
        refusals = []
        for pool, amount in self._holdings.amounts(tokens, cost):
            wait = pool.wait(amount, now, sharers)
            if wait:
                wait = wait if wait < inf else GUESS
                refusals.append(refused(pool.kind, pool.limit, wait, pool.pending(amount, sharers)))
        if self._slots.full(sharers):
            refusals.append(Refusal("parallel", self.limits.parallel, GUESS))
        return max(refusals, key=weight, default=None)

    def may_change(self, tokens: int, cost: int) -> bool:
        """Whether there would be room if other processes gave back what they hold."""
        if 0 < self.limits.parallel <= self.in_flight:
            return False
        return all(pool.lacks_only_others(amount) for pool, amount in self._holdings.amounts(tokens, cost))

    def scarce(self) -> bool:
        """Whether others find every slot taken though some are free here."""
        return self._slots.scarce()

    def let_go(self) -> None:
        """Give back the slots that are not in use with the next ask, which may ask for one of them."""
        self._slots.let_go()

    def fresh(self, now: float) -> bool:
        """Whether what is known of all processes was true a moment ago."""
        return self._letters.fresh(now)

    def placed(self) -> bool:
        """Whether it is known when the authority will let go of what it has not acknowledged."""
        return self._holdings.placed()

    def due(self, now: float) -> bool:
        """Whether there is something to report, to give back or to renew that cannot wait. Falls asleep where
        there is nothing at all."""
        letters, holdings = self._letters, self._holdings
        if now < letters.leisure_until:
            return False
        if letters.pending() or holdings.restless():
            return True
        if now >= self.valid_until:
            self.refresh(now)
        self.asleep = not holdings.in_use()
        return not self.asleep and now >= letters.asked_at + holdings.ttl / 2

    def ask(self, holder: str, now: float, delay: float, *, final: bool = False) -> Ask:
        """Report, give back and ask for what those who wait need and what will be wanted soon. A message may
        take ``delay`` seconds. ``final``: give back all that is not in use."""
        self.refresh(now)
        there = (one for one in self.waiting if not one.outcome.done())  # the others' clients have left
        waiting = [*islice(there, MOST_WAITING)]
        heads = None if final else [(one.tokens, one.cost) for one in waiting]
        again = max((one.again for one in waiting), default=0.0)
        return self._letters.ask(holder, now, delay, heads, again)

    def answered(self, ask: Ask, answer: Answer, now: float) -> None:
        """Take in the answer to ``ask``."""
        if self._letters.answered(ask, answer, now):
            self.refresh(now)
            self._letters.rest(now)

    def _held(self, tokens: int, cost: int, now: float) -> bool:
        """Whether what is held is enough, and may be used."""
        if now >= self._letters.lease_until or not self._slots.covers():
            return False
        if self._requests is not None and not self._requests.covers(1):
            return False
        for pool in self._token_pools:
            if not pool.covers(min(tokens, pool.mine.limit)):
                return False
        return self._budget is None or self._budget.covers(min(cost, self._budget.mine.limit))

    def _share(self, now: float) -> None:
        """Bring the public figures up to date after windows changed."""
        if self._requests is not None:
            mine = self._requests.mine
            self.request_share = (self._requests.known + mine.used) / mine.limit
        fullest = 0.0
        for pool in self._token_pools:
            mine = pool.mine
            share = (pool.known + mine.used) / mine.limit
            if share > fullest:
                fullest = share
        self.token_share = fullest
        due = now + self._shortest
        if due < self.valid_until:
            self.valid_until = due
