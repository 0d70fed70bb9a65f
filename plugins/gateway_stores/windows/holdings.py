"""What one process holds of one subject: a pool for each window that has a limit, and slots."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from gateway.api import Limits
from gateway_stores.windows.pool import Pool
from gateway_stores.windows.quota import Answer, Span
from gateway_stores.windows.slots import Slots
from gateway_stores.windows.window import limited

TTL = 60.0
"""Seconds for which what is held may be used; renewed at half of it."""
SLOT_TTL = 10.0
"""The same where slots are among it: those of a process that was killed are free after so long."""
LEISURE = 0.4
"""The part of that time after which a subject that is far from its limits is exchanged for again."""


class Holdings:
    """Pools by kind, in one order as long as the limits do not change."""

    def __init__(self) -> None:
        self.pools: dict[str, Pool] = {}
        self.slots = Slots()
        self.ttl = TTL

    def change(self, limits: Limits) -> None:
        """Go on with other limits; a window that stays limited keeps what was used."""
        known, self.pools = self.pools, {}
        for kind, limit, seconds in limited(limits):
            self.pools[kind] = pool = known.get(kind) or Pool(kind, limit, seconds)
            pool.change(limit, seconds)
        self.slots.change(limits.parallel)
        self.ttl = SLOT_TTL if limits.parallel else TTL

    def slide(self, now: float) -> float:
        """Let windows slide to ``now``; when the next of it will leave (monotonic seconds)."""
        return min([self.slots.slide(now), *[pool.slide(now) for pool in self.pools.values()]])

    def amounts(self, tokens: int, cost: int) -> list[tuple[Pool, int]]:
        """What a request takes of each window, in their order: an estimate above a limit is that limit."""
        amounts = {"requests": 1, "budget": cost}
        return [(pool, min(amounts.get(kind, tokens), pool.limit)) for kind, pool in self.pools.items()]

    def restless(self) -> bool:
        """Whether there is something to report or to give back."""
        slots = self.slots
        return (slots.limit > 0 and slots.free > 0) or any(
            pool.unsent or pool.free > 0 for pool in self.pools.values()
        )

    def in_use(self) -> bool:
        """Whether something is used that the authority has not counted."""
        slots = self.slots
        return (slots.limit > 0 and slots.in_flight > 0) or any(
            pool.mine.used for pool in self.pools.values()
        )

    def placed(self) -> bool:
        """Whether it is known when the authority will let go of what it has not acknowledged."""
        return all(pool.placed() for pool in self.pools.values())

    def give_back(self) -> None:
        """Hold no more than what is in use."""
        for pool in self.pools.values():
            pool.free = min(pool.free, 0)
        self.slots.give_back()

    def held(self) -> dict[str, int]:
        """What is kept."""
        held = {kind: pool.held() for kind, pool in self.pools.items()}
        if self.slots.limit:
            held["parallel"] = self.slots.free + self.slots.in_flight
        return held

    def spans(self) -> dict[str, Span]:
        """The limits."""
        spans = {kind: pool.span() for kind, pool in self.pools.items()}
        if self.slots.limit:
            spans["parallel"] = Span(self.slots.limit, 0.0)
        return spans

    def wishes(
        self, heads: Sequence[tuple[int, int]], seconds: float, holders: int
    ) -> dict[str, tuple[int, int]]:
        """By kind, what is needed and what is wanted beyond what is held; what is not wanted is given back.
        ``heads``: tokens and cost of those who wait; ``seconds`` have passed since the last call."""
        wanted = [self.amounts(*head) for head in heads]
        wishes: dict[str, tuple[int, int]] = {}
        for place, (kind, pool) in enumerate(self.pools.items()):
            amounts = [amounts[place][1] for amounts in wanted]
            wishes[kind] = pool.keep(amounts, seconds, 1.5 * LEISURE * self.ttl, holders)
        if self.slots.limit:
            wishes["parallel"] = self.slots.keep(len(heads), holders)
        return wishes

    def learn(self, answer: Answer, now: float, ttl: float) -> None:
        """Take in what the authority knows of others, and what it grants for ``ttl`` seconds."""
        for kind, pool in self.pools.items():
            pool.learn(answer.buckets.get(kind, ()), answer.others.get(kind, 0), now, ttl)
            pool.free += answer.granted.get(kind, 0)
        self.slots.learn(answer.granted.get("parallel", 0), answer.others.get("parallel", 0), now + ttl)

    def lasts(self, holders: int) -> float:
        """Seconds for which what is held will do, and no exchange is of use."""
        if self.slots.limit and not self.slots.spare(holders):
            return 0.0
        lasts = min((pool.lasts(holders) for pool in self.pools.values()), default=inf)
        return min(lasts, LEISURE * self.ttl)
