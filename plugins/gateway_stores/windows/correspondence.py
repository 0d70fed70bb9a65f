"""What one process and the authority write to each other about one subject."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from math import ceil, inf

from gateway_stores.windows.holdings import Holdings
from gateway_stores.windows.pool import Reported
from gateway_stores.windows.quota import Answer, Ask, Use

FRESH = 0.25
"""Seconds for which what an answer said is good enough to refuse by."""
TOGETHER = 0.5
"""Subjects that rest for long come back at whole multiples of this, so that one exchange is for many."""
LONG = 2.0
"""Seconds of rest from which on that is done."""
MOST_USES = 100
"""Uses of one subject on their way at once. After a long time without an answer there are many more: to count
them all at once would take the authority longer than it is waited for."""


class Correspondence:
    """Asks are numbered, and so are uses: an answer that comes late changes nothing."""

    def __init__(self, subject: str, holdings: Holdings, numbers: Iterator[int]) -> None:
        """``numbers`` grow, also beyond those of any other correspondence about the subject before."""
        self.holders = 0
        """As many processes used this subject when it was last heard of."""
        self.asked_at = -inf
        self.lease_until = -inf
        """When what is held may be used no more."""
        self.leisure_until = -inf
        """Until then no exchange is of use (all these in monotonic seconds)."""
        self._subject = subject
        self._holdings = holdings
        self._heard_at = -inf
        self._reported: deque[Reported] = deque()
        self._numbers = numbers
        self._newest = 0
        self._unanswered = False
        self._left_over = False

    def outdate(self) -> None:
        """What was heard is no longer good enough to refuse by."""
        self._heard_at = -inf

    def fresh(self, now: float) -> bool:
        """Whether what is known of all processes was true a moment ago."""
        return now < self._heard_at + FRESH and self._holdings.placed()

    def pending(self) -> bool:
        """Whether an ask was not answered, or a use not acknowledged."""
        return self._unanswered or bool(self._reported)

    def ask(
        self, holder: str, now: float, delay: float, heads: Sequence[tuple[int, int]] | None, again: float
    ) -> Ask:
        """Report, give back and ask for what is needed and wanted; see `LeasedMeter.ask`. ``heads``: tokens
        and cost of those who wait, None to ask for nothing; ``again``: as in `Ask`."""
        holdings = self._holdings
        if heads is None or now >= self.lease_until:
            holdings.give_back()
        wishes = {}
        if heads is not None:
            wishes = holdings.wishes(heads, min(now - self.asked_at, holdings.ttl), self.holders)
        self._newest = next(self._numbers)
        self.asked_at, self._unanswered = now, True
        return Ask(
            subject=self._subject,
            holder=holder,
            number=self._newest,
            spans=holdings.spans(),
            uses=self._report(now, delay, inf if heads is None else MOST_USES),
            held=holdings.held(),
            need={kind: need for kind, (need, _) in wishes.items() if need},
            want={kind: want for kind, (_, want) in wishes.items() if want},
            ttl=holdings.ttl,
            again=again,
        )

    def answered(self, ask: Ask, answer: Answer, now: float) -> bool:
        """Take in the answer to ``ask``; whether it said anything."""
        if ask.number != self._newest or answer.stale:
            return False
        self._unanswered = False
        while self._reported and self._reported[0].number <= answer.acknowledged:
            counted = self._reported.popleft()
            counted.pool.acknowledge(counted.bucket, counted.amount, now)
        self._holdings.learn(answer, now, ask.ttl)
        self.lease_until = self.asked_at + ask.ttl
        self._heard_at, self.holders = now, answer.holders
        return True

    def rest(self, now: float) -> None:
        """Nothing need be written for as long as what is held, as of ``now``, will do."""
        until = now + (lasts := 0.0 if self._left_over else self._holdings.lasts(self.holders))
        if lasts >= LONG:
            until -= random.uniform(0.0, lasts / 4)  # or all that began together would come back together
            until = ceil(until / TOGETHER) * TOGETHER
        self.leisure_until = until

    def _report(self, now: float, delay: float, most: float) -> list[Use]:
        """All uses that were not acknowledged, and new ones up to ``most`` in all; the others stay held."""
        self._reported = deque(one for one in self._reported if one.bucket.leaves > now)
        pools = self._holdings.pools.values()
        for pool in pools:
            for bucket, amount in pool.report(now, most - len(self._reported)):
                self._reported.append(Reported(next(self._numbers), pool, bucket, amount))
        self._left_over = any(pool.unsent for pool in pools)
        return [Use(one.number, one.pool.kind, one.age(now, delay), one.amount) for one in self._reported]
