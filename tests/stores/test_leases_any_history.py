"""Several processes, one limit: it holds whatever happens to messages and processes, and comes back whole."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Limits, Refusal, Reservation, Site, StoreUnavailable
from gateway.api.testing.clock import ManualClock
from gateway.api.testing.loop import ManualLoop
from gateway_stores.windows.authority import WindowAuthority
from gateway_stores.windows.holdings import TTL
from gateway_stores.windows.leases import LeasedWindows
from gateway_stores.windows.quota import Answer, Ask
from tests.stores.leased import EPOCH

LIMITS = Limits(requests=8, tokens=60, parallel=3)
HOLDERS = 3
FAULTS = ("lost", "unanswered", "silent", "twice", "stale", "late")

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, HOLDERS - 1), st.integers(1, 25)),
        st.tuples(st.just("reserve"), st.integers(0, HOLDERS - 1), st.integers(1, 25)),
        st.tuples(st.just("settle"), st.integers(0, 5), st.integers(0, 25)),
        st.tuples(st.just("wait"), st.sampled_from([0.03, 0.15, 0.7, 3.0, 5.0, 58.0]), st.none()),
        st.tuples(st.just("fault"), st.integers(0, HOLDERS - 1), st.sampled_from(FAULTS)),
        st.tuples(st.just("deliver"), st.none(), st.none()),
        st.tuples(st.just("stop"), st.integers(1, HOLDERS - 1), st.none()),
    ),
    max_size=40,
)


@dataclass
class Link:
    """One holder's way to the authority. Each fault happens to one exchange."""

    windows: WindowAuthority
    clock: ManualClock
    late: list[Sequence[Ask]]
    faults: list[str] = field(default_factory=list)

    async def exchange(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        fault = self.faults.pop(0) if self.faults else ""
        await asyncio.sleep(0.002)
        if fault == "late":
            self.late.append(asks)
        if fault in ("lost", "late"):
            raise StoreUnavailable("connection refused")
        answers = self.deliver(asks)
        await asyncio.sleep(10.0 if fault == "silent" else 0.002)
        if fault == "unanswered":
            raise StoreUnavailable("connection reset")
        again = self.deliver(asks) if fault in ("twice", "stale") else answers
        return again if fault == "stale" else answers

    def deliver(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        return self.windows.exchange(asks, EPOCH + self.clock.now)


@dataclass
class Use:
    """An admitted request, as the plain list of events has it."""

    holder: int
    reservation: Reservation
    time: float
    tokens: int


class World:
    """Holders, and a list of all that was ever admitted."""

    def __init__(self, clock: ManualClock, scale: int) -> None:
        """``scale``: of tokens, for large limits are counted less finely while little is used."""
        self.clock = clock
        self.scale = scale
        self.limits = replace(LIMITS, tokens=LIMITS.tokens * scale)
        self.late: list[Sequence[Ask]] = []
        authority = WindowAuthority()
        self.links = [Link(authority, clock, self.late) for _ in range(HOLDERS)]
        self.holders = [LeasedWindows(link, clock) for link in self.links]
        self.meters = [holder.meter("key:p/k", self.limits) for holder in self.holders]
        self.stopped: set[int] = set()
        self.admitted: list[Use] = []
        self.flying: list[Use] = []

    async def play(self, steps: Sequence[tuple[str, object, object]]) -> None:
        for number, holder in enumerate(self.holders):
            await holder.open(Site(holder=f"holder {number}", on_trouble="closed"))
        for verb, what, how in steps:
            await getattr(self, verb)(what, how)
        while self.flying:
            await self.settle(0, 1)
        await asyncio.sleep(TTL + 62.0)
        self.links[0].faults.clear()
        for _ in range(LIMITS.requests):
            assert await self.reserve(0, 1), "the limit did not come back"
            await self.settle(0, 1)
        assert not await self.reserve(0, 1)
        for number in set(range(HOLDERS)) - self.stopped:
            await self.holders[number].close()

    async def reserve(self, number: int, tokens: int) -> bool:
        if number in self.stopped:
            return False
        tokens *= self.scale
        try:
            reservation = await self.holders[number].reserve(self.meters[number], tokens)
        except StoreUnavailable:
            return False
        if isinstance(reservation, Refusal):
            assert reservation.retry_after > 0
            return False
        use = Use(number, reservation, self.clock.now, tokens)
        self.admitted.append(use)
        self.flying.append(use)
        recent = [use for use in self.admitted if use.time > self.clock.now - 60.0]
        assert len(recent) <= LIMITS.requests
        assert sum(use.tokens for use in recent) <= self.limits.tokens
        assert len([use for use in self.flying if use.holder not in self.stopped]) <= LIMITS.parallel
        return True

    async def settle(self, place: int, tokens: int) -> None:
        if not self.flying:
            return
        use = self.flying.pop(place % len(self.flying))
        use.tokens = min(tokens * self.scale, use.tokens)
        if use.holder not in self.stopped:
            await self.holders[use.holder].settle(use.reservation, use.tokens)

    async def wait(self, seconds: float, _: None) -> None:
        await asyncio.sleep(seconds)

    async def fault(self, number: int, kind: str) -> None:
        if len(self.links[number].faults) < 3:  # more in a row would cost a lease, and with it slots in use
            self.links[number].faults.append(kind)

    async def deliver(self, *_: None) -> None:
        if self.late:
            self.links[0].deliver(self.late.pop(0))

    async def stop(self, number: int, _: None) -> None:
        """The process dies without a word; what it had in flight may have used all it reserved."""
        if number not in self.stopped:
            self.stopped.add(number)
            self.links[number].faults = ["lost"] * 10_000


@settings(max_examples=200, deadline=None)
@given(steps=STEPS, scale=st.sampled_from([1, 1000]))
def test_any_history(steps: list[tuple[str, object, object]], scale: int) -> None:
    clock = ManualClock()
    with asyncio.Runner(loop_factory=lambda: ManualLoop(clock)) as runner:
        runner.run(World(clock, scale).play(steps))
