"""Conformance suite for stores: subclass `StoreConformance` in a test module and say how to make yours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from gateway.api import (
    Filter,
    Limits,
    Meter,
    Record,
    Refusal,
    Reservation,
    Site,
    Store,
    Surveying,
    Tally,
)
from gateway.api.record import first_id
from gateway.api.testing.clock import ManualClock
from gateway.api.testing.windows import WindowMachine


class StoreConformance:
    """What every store must do. Each test opens a fresh, empty store."""

    slack = 1 / 60
    """The part of a window by which the store may count longer than the window is."""
    examples = 40
    """How many random histories are played."""

    def make_store(self, clock: ManualClock) -> Store:
        """A store not opened yet, empty, that takes its time from ``clock``."""
        raise NotImplementedError

    def make_loop(self, clock: ManualClock) -> asyncio.AbstractEventLoop:
        """What random histories run in. `gateway.api.testing.loop.ManualLoop` makes those of a store that
        does something in the background play always alike."""
        return asyncio.new_event_loop()

    @asynccontextmanager
    async def opened(self, clock: ManualClock) -> AsyncIterator[Store]:
        store = self.make_store(clock)
        await store.open(Site())
        yield store
        await store.close()

    def test_any_history_agrees_with_a_list_of_events(self) -> None:
        class Machine(WindowMachine):
            make_store = staticmethod(self.make_store)
            make_loop = staticmethod(self.make_loop)
            slack = self.slack

        run_state_machine_as_test(
            Machine,
            settings=settings(max_examples=self.examples, stateful_step_count=40, deadline=None),
        )

    async def test_concurrent_reservations_share_one_limit(self) -> None:
        async with self.opened(ManualClock()) as store:
            meter = store.meter("key:p/k", Limits(requests=7))
            answers = await asyncio.gather(*(store.reserve(meter, 0) for _ in range(20)))
        assert sum(not isinstance(answer, Refusal) for answer in answers) == 7

    async def test_who_asks_again_is_answered_as_everybody(self) -> None:
        async with self.opened(ManualClock()) as store:
            meter = store.meter("key:p/k", Limits(requests=1))
            answers = [await store.reserve(meter, 0, again=0.5) for _ in range(2)]
        assert [isinstance(answer, Refusal) for answer in answers] == [False, True]

    async def test_a_refusal_by_one_window_takes_nothing_from_the_others(self) -> None:
        async with self.opened(ManualClock()) as store:
            meter = store.meter("key:p/k", Limits(requests=10, tokens=100, parallel=5, session=60))
            await granted(store, meter, 50)
            assert (await refused(store, meter, 20)).kind == "session"
            assert used(meter) == {"requests": 1, "tokens": 50, "session": 50, "parallel": 1}

    async def test_parallel_slots_come_back_with_settling(self) -> None:
        async with self.opened(ManualClock()) as store:
            meter = store.meter("client:c", Limits(parallel=1))
            first = await granted(store, meter)
            assert (await refused(store, meter)).kind == "parallel"
            await store.settle(first, 0)
            await granted(store, meter)

    async def test_what_is_released_was_never_taken(self) -> None:
        clock = ManualClock()
        async with self.opened(clock) as store:
            meter = store.meter("client:c", Limits(requests=2, tokens=100, parallel=2))
            kept, undone = await granted(store, meter, 10), await granted(store, meter, 20)
            clock.advance(7.0)
            for _ in range(2):
                await store.release(undone)
                assert used(meter) == {"requests": 1, "tokens": 10, "parallel": 1}
            await store.settle(undone, 50)
            await store.settle(kept, 10)
            await store.release(kept)
            assert used(meter) == {"requests": 1, "tokens": 10, "parallel": 0}
            late = await granted(store, meter, 10)
            clock.advance(61.0)
            await store.release(late)
            assert used(meter) == {"requests": 0, "tokens": 0, "parallel": 0}

    async def test_an_estimate_above_the_limit_is_clamped_and_the_truth_carried(self) -> None:
        clock = ManualClock()
        async with self.opened(clock) as store:
            meter = store.meter("key:p/k", Limits(tokens=100))
            reservation = await granted(store, meter, 1000)
            assert used(meter)["tokens"] == 100
            clock.advance(30.0)
            await store.settle(reservation, 400)
            assert used(meter)["tokens"] == 400
            clock.advance(31.0)
            assert used(meter)["tokens"] == 300
            assert 0 < (await refused(store, meter, 1)).retry_after <= 30.0

    async def test_what_is_reserved_may_come_back_at_any_moment(self) -> None:
        clock = ManualClock()
        async with self.opened(clock) as store:
            meter = store.meter("client:c", Limits(tokens=100, session=900, budget=1000))
            first = await store.reserve(meter, 60, cost=900)
            assert not isinstance(first, Refusal)
            refusal = await store.reserve(meter, 60, cost=900)
            assert isinstance(refusal, Refusal)
            assert (refusal.pending, refusal.retry_after) == (True, 1.0)
            await store.settle(first, 10, 200)
            refusal = await store.reserve(meter, 60, cost=900)
            assert isinstance(refusal, Refusal)
            assert (refusal.kind, refusal.pending) == ("budget", False)
            assert refusal.retry_after > 60.0
            assert not isinstance(await store.reserve(meter, 60, cost=800), Refusal)

    async def test_what_takes_nothing_is_not_refused_by_what_is_overspent(self) -> None:
        clock = ManualClock()
        async with self.opened(clock) as store:
            meter = store.meter("client:c", Limits(requests=3, tokens=100, session=900, budget=1000))
            first = await store.reserve(meter, 90, cost=900)
            assert not isinstance(first, Refusal)
            await store.settle(first, 950, 3000)
            clock.advance(1.0)
            assert isinstance(await store.reserve(meter, 0, cost=1), Refusal)
            await refused(store, meter, 1)
            for _ in range(2):
                await store.settle(await granted(store, meter), 0)
            assert (await refused(store, meter)).kind == "requests"
            assert used(meter) == {"requests": 3, "tokens": 950, "session": 950, "budget": 3000}

    async def test_a_budget_is_reserved_and_settled_like_tokens(self) -> None:
        clock = ManualClock()
        async with self.opened(clock) as store:
            meter = store.meter("client:c", Limits(budget=1000, budget_seconds=600.0))
            first = await store.reserve(meter, 0, cost=700)
            assert not isinstance(first, Refusal)
            refusal = await store.reserve(meter, 0, cost=301)
            assert isinstance(refusal, Refusal)
            assert (refusal.kind, refusal.limit) == ("budget", 1000)
            await store.settle(first, 0, 200)
            assert used(meter) == {"budget": 200}
            dear = await store.reserve(meter, 0, cost=800)
            assert not isinstance(dear, Refusal)
            await store.settle(dear, 0, 1500)
            assert used(meter) == {"budget": 1700}
            clock.advance(611.0)
            assert used(meter) == {"budget": 0}

    async def test_a_subject_has_one_meter_whose_limits_may_change(self) -> None:
        async with self.opened(ManualClock()) as store:
            meter = store.meter("key:p/k", Limits(requests=5))
            for _ in range(3):
                await granted(store, meter)
            changed = store.meter("key:p/k", Limits(requests=2))
            assert used(changed) == {"requests": 3}
            await refused(store, changed)
            again = store.meter("key:p/k", Limits(requests=4))
            await granted(store, again)
            await refused(store, again)

    async def test_a_survey_tells_what_was_used_and_takes_nothing(self) -> None:
        clock = ManualClock()
        async with self.opened(clock) as store:
            if not isinstance(store, Surveying):
                return
            limits = Limits(requests=4, tokens=100, parallel=3, budget=10**9)
            meters = [store.meter(f"client:{name}", limits) for name in "ab"]
            await store.settle(await granted(store, meters[0], 30), 20, 7)
            await granted(store, meters[0], 30)
            for _ in range(3):
                assert [surveyed(tallies) for tallies in await store.survey(meters)] == [
                    {"requests": 2, "tokens": 50, "parallel": 1, "budget": 7},
                    {"requests": 0, "tokens": 0, "parallel": 0, "budget": 0},
                ]
            assert {tally.kind: tally.limit for tally in store.tallies(meters[1])}["budget"] == 10**9
            for _ in range(4):
                await store.settle(await granted(store, meters[1]), 0)

    async def test_subjects_do_not_share(self) -> None:
        async with self.opened(ManualClock()) as store:
            await granted(store, store.meter("client:a", Limits(requests=1)))
            await granted(store, store.meter("client:b", Limits(requests=1)))

    async def test_without_limits_only_flights_are_counted(self) -> None:
        async with self.opened(ManualClock()) as store:
            meter = store.meter("key:p/k", Limits())
            reservations = [await granted(store, meter, 10**9) for _ in range(50)]
            assert (meter.in_flight, meter.request_share, meter.token_share) == (50, 0.0, 0.0)
            assert meter.readings() == []
            for reservation in reservations:
                await store.settle(reservation, 10**9)
            assert meter.in_flight == 0

    async def test_records_come_back_newest_first_and_once(self) -> None:
        async with self.opened(ManualClock()) as store:
            records = [record(number) for number in range(5)]
            await store.append(records[:3])
            await store.append(records[2:])
            assert await store.requests(Filter(), 3) == records[:1:-1]
            assert await store.requests(Filter(), 100) == records[::-1]


def record(number: int) -> Record:
    """A usage record unlike those with other numbers."""
    time = 1_700_000_000.0 + number
    id = f"{first_id(time)}{number:012x}"
    return Record(time, "v1", f"r-{number}", "c", "chat", "m", cost_nano_usd=number, id=id)


async def granted(store: Store, meter: Meter, tokens: int = 0) -> Reservation:
    """Reserve; fail the test if it is refused."""
    reservation = await store.reserve(meter, tokens)
    assert not isinstance(reservation, Refusal), reservation
    return reservation


async def refused(store: Store, meter: Meter, tokens: int = 0) -> Refusal:
    """Try to reserve; fail the test if it is granted."""
    refusal = await store.reserve(meter, tokens)
    assert isinstance(refusal, Refusal), "granted beyond the limit"
    return refusal


def used(meter: Meter) -> dict[str, int]:
    """What the meter reads, by kind of window."""
    return {reading.kind: reading.used for reading in meter.readings()}


def surveyed(*processes: Sequence[Tally]) -> dict[str, int]:
    """What was used in all, by kind, as these processes know it together."""
    counted: dict[str, int] = {}
    for tally in chain(*processes):
        counted[tally.kind] = max(counted.get(tally.kind, 0), tally.counted)
    return {
        kind: count + sum(tally.pending for tally in chain(*processes) if tally.kind == kind)
        for kind, count in counted.items()
    }
