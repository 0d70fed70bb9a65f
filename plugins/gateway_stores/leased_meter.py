"""One subject's shared windows in one process: taken from held quota, refused, asked for, answered."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from math import inf

from gateway.api import Limits, Meter, Reading, Refusal
from gateway_stores.meter import MINUTE, PARALLEL_WAIT
from gateway_stores.pool import AHEAD, SPARE, Pool, Reported
from gateway_stores.quota import Answer, Ask, Span, Use
from gateway_stores.window import Bucket

FRESH = 0.25
"""Seconds for which what an answer said is good enough to refuse by."""
TTL = 30.0
"""Seconds for which what is held may be used; renewed at half of it."""
SLOT_TTL = 10.0
"""The same where slots are among it: those of a process that was killed are free after so long."""
LEISURE = 0.4
"""Of that time this part passes between two exchanges about a subject that is far from its limits."""
MOST_WAITING = 100
"""For so many of those who wait quota is asked at once."""


@dataclass(slots=True, eq=False)
class Taken:
    """A granted reservation, and which buckets hold what of it."""

    meter: Meter
    tokens: int
    cost: int
    """Nano-dollars."""
    request: tuple[Pool, Bucket] | None
    charges: list[tuple[Pool, Bucket, int]]
    spent: tuple[Pool, Bucket, int] | None = None
    settled: bool = False


@dataclass(slots=True, eq=False)
class Waiting:
    """A reservation that waits for quota."""

    tokens: int
    cost: int
    outcome: asyncio.Future[Taken | Refusal]
    tries: int = 0


class LeasedMeter:
    """Implements `gateway.api.Meter`. It sends nothing: `ask` and `answered` are called for it."""

    def __init__(self, subject: str, limits: Limits, clock: Callable[[], float]) -> None:
        self.subject = subject
        self.in_flight = 0
        self.cooled_until = 0.0
        self.asleep = True
        """Has nothing to tell and holds nothing: it need not be asked for anything at all."""
        self.holders = 0
        """As many processes used this subject when it was last heard of."""
        self.waiting: deque[Waiting] = deque()
        self.again_at = 0.0
        """Loop time before which it is no use to ask again for those who wait."""
        self.futile_until = 0.0
        """Loop time until which others are known not to give back what they hold."""
        self._clock = clock
        self._pools: dict[str, Pool] = {}
        self._slots = 0
        self._slots_of_others = 0
        self._slots_until = inf
        self._peak = 0
        self._reported: deque[Reported] = deque()
        self._asks = self._uses = 0
        self._asked_at = self._lease_until = self._heard_at = self._leisure_until = -inf
        self._unanswered = False
        self.configure(limits)

    def configure(self, limits: Limits) -> None:
        """Go on with other limits; a window that stays limited keeps what was used."""
        self.limits = limits
        known, self._pools = self._pools, {}
        for kind, limit, seconds in (
            ("requests", limits.requests, MINUTE),
            ("tokens", limits.tokens, MINUTE),
            ("session", limits.session, limits.session_seconds),
            ("budget", limits.budget, limits.budget_seconds),
        ):
            if limit:
                self._pools[kind] = pool = known.get(kind) or Pool(kind, limit, seconds)
                pool.change(limit, seconds)
        self._requests, self._budget = self._pools.get("requests"), self._pools.get("budget")
        self._token_pools = [self._pools[kind] for kind in ("tokens", "session") if kind in self._pools]
        self._ttl = SLOT_TTL if limits.parallel else TTL
        self._shortest = min((pool.mine.seconds for pool in self._pools.values()), default=inf)
        self._slots = min(self._slots, 0)
        self._heard_at = -inf
        self.limited = bool(self._pools or limits.parallel)
        self.request_share = 0.0
        self.refresh(self._clock())

    def refresh(self, now: float) -> None:
        """Let windows slide to ``now`` (monotonic seconds)."""
        if now >= self._slots_until:
            self._slots_of_others, self._slots_until = 0, inf
        self.valid_until = min([self._slots_until, *[pool.slide(now) for pool in self._pools.values()]])
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
            slots = self.in_flight + self._slots_of_others
            readings.append(Reading("parallel", self.limits.parallel, slots, 0.0))
        return readings

    def take(self, tokens: int, cost: int, now: float, *, force: bool = False) -> Taken | None:
        """Reserve one request, ``tokens``, ``cost`` nano-dollars and a slot from what is held; None if that
        is not enough, or may be used no more. ``force`` takes what is not held, too."""
        if now >= self.valid_until:
            self.refresh(now)
        if self.limited and not (force or self._held(tokens, cost, now)):
            return None
        self.in_flight += 1
        self._slots -= 1
        if self.in_flight > self._peak:
            self._peak = self.in_flight
        taken = Taken(self, tokens, cost, None, [])
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
        self.in_flight -= 1
        self._slots += 1
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
        for pool, amount in self._amounts(tokens, cost):
            wait = pool.wait(amount, now, sharers)
            if wait:
                refusals.append(Refusal(pool.kind, pool.limit, wait if wait < inf else PARALLEL_WAIT))
        parallel = self.limits.parallel
        if parallel and self.in_flight >= (parallel - self._slots_of_others) // sharers:
            refusals.append(Refusal("parallel", parallel, PARALLEL_WAIT))
        return max(refusals, key=lambda refusal: refusal.retry_after, default=None)

    def may_change(self, tokens: int, cost: int) -> bool:
        """Whether there would be room if other processes gave back what they hold."""
        if 0 < self.limits.parallel <= self.in_flight:
            return False
        return all(pool.lacks_only_others(amount) for pool, amount in self._amounts(tokens, cost))

    def fresh(self, now: float) -> bool:
        """Whether what is known of all processes was true a moment ago."""
        return now < self._heard_at + FRESH and self.placed()

    def placed(self) -> bool:
        """Whether it is known when the authority will let go of what it has not acknowledged."""
        return all(pool.placed() for pool in self._pools.values())

    def due(self, now: float) -> bool:
        """Whether there is something to report, to give back or to renew that cannot wait. Falls asleep where
        there is nothing at all."""
        if now < self._leisure_until:
            return False
        if any(pool.unsent or pool.free > 0 for pool in self._pools.values()):
            return True
        if self._unanswered or self._reported or (self.limits.parallel and self._slots > 0):
            return True
        if now >= self.valid_until:
            self.refresh(now)
        slots = self.in_flight if self.limits.parallel else 0
        in_use = bool(slots) or any(pool.mine.used for pool in self._pools.values())
        self.asleep = not in_use
        return in_use and now >= self._asked_at + self._ttl / 2

    def ask(self, holder: str, now: float, delay: float, *, final: bool = False) -> Ask:
        """Report, give back and ask for what those who wait need and what will be wanted soon. A message may
        take ``delay`` seconds. ``final``: give back all that is not in use."""
        self.refresh(now)
        if final or now >= self._lease_until:
            self._give_back()
        need, want = ({}, {}) if final else self._wishes(now)
        self._asks += 1
        self._asked_at, self._unanswered = now, True
        return Ask(
            subject=self.subject,
            holder=holder,
            number=self._asks,
            spans=self._spans(),
            uses=self._report(now, delay),
            held=self._holdings(),
            need=need,
            want=want,
            ttl=self._ttl,
        )

    def answered(self, ask: Ask, answer: Answer, now: float) -> None:
        """Take in the answer to ``ask``."""
        if ask.number != self._asks or answer.stale:
            return
        self._unanswered = False
        while self._reported and self._reported[0].number <= answer.acknowledged:
            counted = self._reported.popleft()
            counted.pool.acknowledge(counted.bucket, counted.amount, now)
        for kind, pool in self._pools.items():
            pool.learn(answer.buckets.get(kind, ()), answer.others.get(kind, 0), now, ask.ttl)
            pool.free += answer.granted.get(kind, 0)
        self._slots += answer.granted.get("parallel", 0)
        self._slots_of_others, self._slots_until = answer.others.get("parallel", 0), now + ask.ttl
        self._lease_until = self._asked_at + ask.ttl
        self._heard_at, self.holders = now, answer.holders
        self.refresh(now)
        lasts = min((pool.lasts(self.holders) for pool in self._pools.values()), default=inf)
        if self.limits.parallel and not self._spare_slots():
            lasts = 0.0
        self._leisure_until = now + min(lasts, LEISURE * ask.ttl)

    def _give_back(self) -> None:
        """Hold no more than what is in use."""
        for pool in self._pools.values():
            pool.free = min(pool.free, 0)
        self._slots = min(self._slots, 0)

    def _wishes(self, now: float) -> tuple[dict[str, int], dict[str, int]]:
        """What is needed and what is wanted beyond what is held; what is not wanted is held no more."""
        seconds = min(now - self._asked_at, self._ttl)
        wishes: dict[str, tuple[int, int]] = {}
        heads = [self._amounts(one.tokens, one.cost) for one in islice(self.waiting, MOST_WAITING)]
        for place, (kind, pool) in enumerate(self._pools.items()):
            amounts = [amounts[place][1] for amounts in heads]
            wishes[kind] = pool.keep(amounts, seconds, 1.5 * LEISURE * self._ttl, self.holders)
        if self.limits.parallel:
            wish = max(len(heads), self._peak - self.in_flight)
            if self._peak or heads:
                wish = max(wish, min(max(self._slots, AHEAD * len(heads)), self._spare_slots()))
            self._peak = self.in_flight
            self._slots = min(max(self._slots, 0), wish)
            need = 1 if heads and not self._slots else 0
            wishes["parallel"] = need, wish - self._slots - need
        return (
            {kind: need for kind, (need, _) in wishes.items() if need},
            {kind: want for kind, (_, want) in wishes.items() if want},
        )

    def _spare_slots(self) -> int:
        """Slots that may be held ahead of demand: a few, and only where most are free."""
        parallel = self.limits.parallel
        spare = parallel // (SPARE * max(self.holders, 1))
        return spare if self.in_flight + self._slots_of_others + spare <= parallel // 2 else 0

    def _report(self, now: float, delay: float) -> list[Use]:
        """All uses that were not acknowledged, the new ones included."""
        for pool in self._pools.values():
            for bucket, amount in pool.report(now):
                self._uses += 1
                self._reported.append(Reported(self._uses, pool, bucket, amount))
        self._reported = deque(one for one in self._reported if one.bucket.leaves > now)
        return [Use(one.number, one.pool.kind, one.age(now, delay), one.amount) for one in self._reported]

    def _holdings(self) -> dict[str, int]:
        """What is kept."""
        held = {kind: pool.held() for kind, pool in self._pools.items()}
        if self.limits.parallel:
            held["parallel"] = self._slots + self.in_flight
        return held

    def _spans(self) -> dict[str, Span]:
        spans = {kind: pool.span() for kind, pool in self._pools.items()}
        if self.limits.parallel:
            spans["parallel"] = Span(self.limits.parallel, 0.0)
        return spans

    def _held(self, tokens: int, cost: int, now: float) -> bool:
        """Whether what is held is enough, and may be used."""
        if now >= self._lease_until:
            return False
        parallel = self.limits.parallel
        if parallel and (self._slots < 1 or self.in_flight + self._slots_of_others >= parallel):
            return False
        if self._requests is not None and not self._requests.covers(1):
            return False
        for pool in self._token_pools:
            if not pool.covers(min(tokens, pool.mine.limit)):
                return False
        return self._budget is None or self._budget.covers(min(cost, self._budget.mine.limit))

    def _amounts(self, tokens: int, cost: int) -> list[tuple[Pool, int]]:
        """What a request takes of each window, in their order: an estimate above a limit is that limit."""
        amounts = {"requests": 1, "budget": cost}
        return [(pool, min(amounts.get(kind, tokens), pool.limit)) for kind, pool in self._pools.items()]

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
