"""Leased windows: what is shared, what it costs in messages, and what happens without the authority."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from gateway.api import Limits, Meter, Refusal, Reservation, Site, StoreUnavailable
from gateway.api.testing.clock import ManualClock
from gateway.api.testing.loop import ManualLoop
from gateway.api.testing.stores import granted, refused, used
from gateway_stores.windows.authority import WindowAuthority
from gateway_stores.windows.census import Census
from gateway_stores.windows.correspondence import MOST_USES
from gateway_stores.windows.leases import MOST_ASKS, PATIENCE
from gateway_stores.windows.quota import Answer
from gateway_stores.windows.unreported import REPORTED
from tests.stores.leased import EPOCH, LeasedStore

Play = Callable[["Holders"], Coroutine[object, object, None]]


class Holders:
    """Several processes' stores over one authority, in time that passes at once."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.failures: list[str] = []
        self._authority = WindowAuthority()
        self.census = Census(clock)
        self.census.hear([])
        self._opened = 0

    @asynccontextmanager
    async def store(self, site: Site | None = None) -> AsyncIterator[LeasedStore]:
        store = LeasedStore(self._authority, self.clock, self.census)
        site = site or Site()
        site.holder, site.failed = f"holder {self._opened}", self.failures.append
        self._opened += 1
        await store.open(site)
        yield store
        await store.close()


def played(test: Play) -> Callable[[], None]:
    """Run a test in a loop that does not wait."""

    def run() -> None:
        clock = ManualClock()
        with asyncio.Runner(loop_factory=lambda: ManualLoop(clock)) as runner:
            runner.run(test(Holders(clock)))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@played
async def test_what_one_uses_is_gone_for_all(holders: Holders) -> None:
    async with holders.store() as here, holders.store() as there:
        limits = Limits(requests=5)
        mine, theirs = here.meter("key:p/k", limits), there.meter("key:p/k", limits)
        for _ in range(3):
            await here.settle(await granted(here, mine), 0)
        for _ in range(2):
            await granted(there, theirs)
        for store, meter in ((here, mine), (there, theirs)):
            refusal = await refused(store, meter)
            assert (refusal.kind, refusal.limit) == ("requests", 5)
            assert 59.0 < refusal.retry_after <= 61.1
            assert used(meter) == {"requests": 5}


@played
async def test_of_a_hundred_at_once_a_budget_for_one_admits_one(holders: Holders) -> None:
    async with holders.store() as a, holders.store() as b, holders.store() as c, holders.store() as d:
        limits = Limits(budget=1000)
        attempts = [
            store.reserve(store.meter("client:c", limits), 0, cost=600)
            for _ in range(25)
            for store in (a, b, c, d)
        ]
        answers = await asyncio.gather(*attempts)
        assert sum(not isinstance(answer, Refusal) for answer in answers) == 1


@played
async def test_what_another_process_has_reserved_may_come_back_at_any_time(holders: Holders) -> None:
    async with holders.store() as here, holders.store() as there:
        limits = Limits(session=1000, session_seconds=86400.0)
        mine, theirs = here.meter("key:p/k", limits), there.meter("key:p/k", limits)
        await here.settle(await granted(here, mine, 500), 500)
        held = await granted(here, mine, 400)
        await asyncio.sleep(1.0)
        refusal = await refused(there, theirs, 300)
        assert (refusal.kind, refusal.pending, refusal.retry_after) == ("session", True, 1.0)
        refusal = await refused(there, theirs, 501)
        assert not refusal.pending
        assert refusal.retry_after > 86000
        await here.settle(held, 1)
        await asyncio.sleep(1.0)
        await granted(there, theirs, 300)


@played
async def test_what_was_used_is_waited_for_though_others_hold_some_as_well(holders: Holders) -> None:
    async with holders.store() as here, holders.store() as there:
        limits = Limits(budget=1000, budget_seconds=3600.0)
        mine, theirs = here.meter("client:c", limits), there.meter("client:c", limits)
        place = await here.reserve(mine, 0, cost=600)
        assert not isinstance(place, Refusal)
        await here.settle(place, 0, 500)
        held = await there.reserve(theirs, 0, cost=400)
        assert not isinstance(held, Refusal)
        for cost in (600, 1000, 5000):
            answer = await here.reserve(mine, 0, cost=cost)
            assert isinstance(answer, Refusal)
            assert (answer.kind, answer.pending) == ("budget", False)
            assert answer.retry_after > 3500
        await there.settle(held, 0, 0)


@played
async def test_of_requests_nothing_comes_back_before_they_leave_the_window(holders: Holders) -> None:
    async with holders.store() as here, holders.store() as there:
        limits = Limits(requests=1000)
        mine, theirs = here.meter("key:p/k", limits), there.meter("key:p/k", limits)
        for _ in range(100):
            await here.settle(await granted(here, mine), 0)
            await asyncio.sleep(0.01)
        while not isinstance(answer := await there.reserve(theirs, 0), Refusal):
            await there.settle(answer, 0)
        assert used(theirs)["requests"] == 1000
        assert not answer.pending
        assert answer.retry_after > 50


@played
async def test_what_a_process_held_that_died_does_not_come_back(holders: Holders) -> None:
    async def lost() -> None:
        raise StoreUnavailable("out of reach")

    async with holders.store() as here, holders.store() as there:
        limits = Limits(session=1000, session_seconds=86400.0)
        await granted(here, here.meter("key:p/k", limits), 900)
        here.authority.delay = lost
        await asyncio.sleep(61.0)
        refusal = await refused(there, there.meter("key:p/k", limits), 300)
        assert not refusal.pending
        assert refusal.retry_after > 86000


@played
async def test_a_slot_that_one_frees_another_gets(holders: Holders) -> None:
    async with holders.store() as here, holders.store() as there:
        limits = Limits(parallel=2)
        taken = [await granted(here, here.meter("client:c", limits)) for _ in range(2)]
        assert (await refused(there, there.meter("client:c", limits))).kind == "parallel"
        await here.settle(taken[0], 0)
        await asyncio.sleep(1.5)
        await granted(there, there.meter("client:c", limits))
        await refused(there, there.meter("client:c", limits))


@played
async def test_who_is_idle_gives_everything_back_and_goes_quiet(holders: Holders) -> None:
    async with holders.store() as here, holders.store() as there:
        limits = Limits(requests=1000)
        for _ in range(100):
            await here.settle(await granted(here, here.meter("key:p/k", limits)), 0)
            await asyncio.sleep(0.01)
        await asyncio.sleep(100.0)
        before = here.authority.asks
        await asyncio.sleep(30.0)
        assert here.authority.asks == before
        for _ in range(900):
            await granted(there, there.meter("key:p/k", limits))


@played
async def test_takes_from_what_it_holds_without_asking(holders: Holders) -> None:
    async with holders.store() as store:
        meter = store.meter("key:p/k", Limits(requests=10**6, tokens=10**9))
        for _ in range(2000):
            await store.settle(await granted(store, meter, 1000), 700)
            await asyncio.sleep(0.001)
        assert store.authority.asks < 60


@played
async def test_a_full_window_is_refused_without_asking(holders: Holders) -> None:
    async with holders.store() as store:
        meter = store.meter("key:p/k", Limits(requests=1))
        await granted(store, meter)
        await refused(store, meter)
        before = store.authority.asks
        waits = [(await refused(store, meter)).retry_after for _ in range(100)]
        assert set(waits) == {61.0 - holders.clock.now % 1.0}
        assert store.authority.asks == before


@played
async def test_without_limits_nothing_is_ever_asked(holders: Holders) -> None:
    async with holders.store() as store:
        for _ in range(10):
            await store.settle(await granted(store, store.meter("key:p/k", Limits()), 1000), 10)
        await asyncio.sleep(1.0)
        assert store.authority.asks == 0


@played
async def test_those_who_go_while_they_wait_take_nothing(holders: Holders) -> None:
    async with holders.store() as store:
        meter = store.meter("key:p/k", Limits(requests=1, parallel=1))
        gone = asyncio.ensure_future(store.reserve(meter, 0))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait({gone})
        await granted(store, meter)
        assert meter.in_flight == 1


async def spend(store: LeasedStore, meter: Meter, cost: int) -> None:
    """One request, from beginning to end."""
    reservation = await store.reserve(meter, 0, cost=cost)
    assert not isinstance(reservation, Refusal)
    await store.settle(reservation, 0, cost)


async def refuse() -> None:
    """What an authority does that is down."""
    raise StoreUnavailable("connection refused")


async def hang() -> None:
    """What an authority does that hangs."""
    await asyncio.sleep(2.0)


@played
async def test_who_goes_waits_longer_for_a_slow_authority_than_who_is_waited_for(holders: Holders) -> None:
    async def slow() -> None:
        await asyncio.sleep(0.5)

    limits = Limits(requests=1000)
    async with holders.store() as going:
        await granted(going, going.meter("key:p/k", limits))
        going.authority.delay = slow
    async with holders.store() as there:
        theirs = there.meter("key:p/k", limits)
        await granted(there, theirs)
        assert used(theirs)["requests"] == 2, "what it held ahead is given back"


@played
async def test_an_authority_that_hangs_costs_one_wait_and_heals_by_itself(holders: Holders) -> None:
    async with holders.store() as store:
        meter = store.meter("key:p/k", Limits(requests=12))
        await granted(store, meter)
        await asyncio.sleep(5.0)
        store.authority.delay = hang
        began = holders.clock.now
        await granted(store, meter)
        assert holders.clock.now - began <= 2 * PATIENCE
        trouble = store.trouble()
        assert trouble is not None
        assert "the test's authority" in trouble.message
        assert "no answer within 100 ms" in trouble.message
        began = holders.clock.now
        for _ in range(10):
            await granted(store, meter)
        await refused(store, meter)
        assert holders.clock.now == began
        store.authority.delay = None
        await asyncio.sleep(1.0)
        assert store.trouble() is None
        assert set(holders.failures) == {"reserve"}
        assert (await refused(store, meter)).retry_after > 50.0
        assert used(meter) == {"requests": 12}


@pytest.mark.parametrize("stood_still", [1.05, 3.0])
def test_a_process_that_stood_still_goes_by_the_answer(stood_still: float) -> None:
    """It was stopped with its ask on the way: then the time for an answer may be over before it is read."""

    @played
    async def test(holders: Holders) -> None:
        limits = Limits(requests=10)

        async def stop() -> None:
            holders.clock.advance(stood_still * PATIENCE)
            await asyncio.sleep(PATIENCE / 10)

        async with holders.store() as busy, holders.store() as stopped:
            for _ in range(10):
                await granted(busy, busy.meter("key:p/k", limits))
            stopped.authority.delay = stop
            await refused(stopped, stopped.meter("key:p/k", limits))
            assert not holders.failures

    test()


@played
async def test_after_long_without_the_authority_it_is_told_little_at_once_and_in_the_end_all(
    holders: Holders,
) -> None:
    limits = Limits(requests=10**6, budget=10**12)
    async with holders.store() as store, holders.store() as there:
        subjects = [f"client:{number}" for number in range(10)]
        meters = [store.windows.meter(subject, limits) for subject in subjects]
        store.authority.delay = refuse
        for _ in range(600):
            for meter in meters:
                await spend(store, meter, 5)
            await asyncio.sleep(1.0)
        store.authority.uses = store.authority.exchanges = 0
        store.authority.delay = None
        await asyncio.sleep(5.0)
        assert store.authority.uses <= len(subjects) * MOST_USES * store.authority.exchanges
        assert all(meter.placed() for meter in meters)
        for subject in subjects:
            theirs = there.meter(subject, limits)
            await there.release(await granted(there, theirs))
            assert used(theirs)["budget"] == 600 * 5


@played
async def test_what_could_not_be_told_at_once_is_told_before_the_process_goes(holders: Holders) -> None:
    heard = asyncio.Event()

    async def hear() -> None:
        heard.set()

    limits = Limits(requests=10**6, budget=10**12)
    async with holders.store() as going:
        meter = going.meter("client:c", limits)
        going.authority.delay = refuse
        for _ in range(500):
            await spend(going, meter, 5)
            await asyncio.sleep(0.1)
        going.authority.delay = hear
        await heard.wait()
        heard.clear()
        await heard.wait()
    async with holders.store() as there:
        theirs = there.meter("client:c", limits)
        await there.release(await granted(there, theirs))
        assert used(theirs)["budget"] == 500 * 5
        assert used(theirs)["requests"] >= 500


@played
async def test_many_subjects_that_are_waited_for_at_once_are_asked_for_in_parts(holders: Holders) -> None:
    asked: list[int] = []

    async def count() -> None:
        asked.append(store.authority.asks - sum(asked))

    async with holders.store() as store:
        store.authority.delay = count
        meters = [store.meter(f"client:{number}", Limits(requests=1)) for number in range(1000)]
        await asyncio.gather(*[granted(store, meter) for meter in meters])
        assert max(asked) == MOST_ASKS
        assert not holders.failures


@played
async def test_nothing_is_asked_for_those_who_went(holders: Holders) -> None:
    async with holders.store() as store, holders.store() as there:
        meter, theirs = (one.meter("key:p/k", Limits(tokens=1000)) for one in (store, there))
        gone = [asyncio.ensure_future(store.reserve(meter, 400)) for _ in range(2)]
        await asyncio.sleep(0)
        for one in gone:
            one.cancel()
        await asyncio.wait(gone)
        await asyncio.gather(granted(store, meter, 10), granted(there, theirs, 900))


@played
async def test_an_authority_that_is_in_doubt_is_asked_though_nobody_waits(holders: Holders) -> None:
    async with holders.store() as store:
        store.authority.delay = refuse
        store.windows.doubt()
        await asyncio.sleep(1.0)
        assert store.authority.exchanges == 0, "there is no limit yet"
        meter = store.meter("client:c", Limits(requests=10))
        await asyncio.sleep(60.0)
        trouble = store.trouble()
        assert trouble is not None
        assert trouble.limits
        store.authority.delay = None
        await asyncio.sleep(1.0)
        assert store.trouble() is None
        await asyncio.sleep(1.0)
        asked = store.authority.exchanges
        store.windows.doubt()
        await asyncio.sleep(60.0)
        assert store.trouble() is None
        assert meter.asleep  # type: ignore[attr-defined]
        assert store.authority.exchanges == asked + 1


@pytest.mark.parametrize(
    ("reached", "known", "share"),
    [
        pytest.param(True, True, 25, id="heard of the limit"),
        pytest.param(False, True, 12, id="heard of others alone"),
        pytest.param(False, False, 6, id="heard of nobody"),
    ],
)
def test_each_admits_its_share_of_what_was_left(reached: bool, known: bool, share: int) -> None:
    async def test(holders: Holders) -> None:
        if not known:
            holders.census = Census(holders.clock)
        async with holders.store(Site(workers=4)) as here, holders.store(Site(workers=4)) as there:
            limits = Limits(requests=104, parallel=200)
            for store in (here, there):
                if reached:
                    await store.settle(await granted(store, store.meter("key:p/k", limits)), 0)
                    await asyncio.sleep(3.0)
                    await store.settle(await granted(store, store.meter("key:p/k", limits)), 0)
                    await asyncio.sleep(3.0)
            for store in (here, there):
                store.authority.delay = refuse
                meter = store.meter("key:p/k", limits)
                answers = [await store.reserve(meter, 0) for _ in range(60)]
                admitted = [answer for answer in answers if not isinstance(answer, Refusal)]
                assert share - 1 <= len(admitted) <= share + 1
                for refusal in answers:
                    assert not isinstance(refusal, Refusal) or 0 < refusal.retry_after <= 61.0

    played(test)()


@played
async def test_the_share_is_one_among_all_at_the_store_whatever_they_use(holders: Holders) -> None:
    holders.census.hear([(f"process:{number}", "here", 60.0) for number in range(2)])
    async with holders.store() as here, holders.store() as there, holders.store() as idle:
        limits = Limits(requests=61)
        await granted(here, here.meter("client:a", limits))
        await granted(there, there.meter("client:b", limits))
        await asyncio.sleep(0.3)
        found = []
        for store in (here, there, idle):
            store.authority.delay = refuse
            meter = store.meter("client:a", limits)
            answers = [await store.reserve(meter, 0) for _ in range(61)]
            found.append(sum(not isinstance(answer, Refusal) for answer in answers))
        assert 19 <= found[0] <= 21
        assert found[1:] == [61 // 6, 61 // 6], "of what it never heard of it takes half of its share"


async def admitted(store: LeasedStore, limit: int) -> int:
    """How many of one more than the limit."""
    meter = store.meter("key:p/k", Limits(requests=limit))
    answers = [await store.reserve(meter, 0) for _ in range(limit + 1)]
    for answer in answers:
        if not isinstance(answer, Refusal):
            await store.settle(answer, 0)
    return sum(not isinstance(answer, Refusal) for answer in answers)


def test_what_was_used_without_the_authority_outlives_the_process(tmp_path: Path) -> None:
    async def test(holders: Holders) -> None:
        limits = Limits(requests=60)
        async with holders.store(Site(folder=tmp_path)) as first:
            await first.settle(await granted(first, first.meter("key:p/k", limits)), 0)
            await asyncio.sleep(30.0)  # it has heard that it is alone
            first.authority.delay = refuse
            assert await admitted(first, 60) == 59
        async with holders.store(Site(folder=tmp_path)) as second:
            second.authority.delay = refuse
            assert await admitted(second, 60) == 0
            second.authority.delay = None
            await asyncio.sleep(1.0)
            async with holders.store() as another:
                assert isinstance(await another.reserve(another.meter("key:p/k", limits), 0), Refusal)
            await asyncio.sleep(REPORTED + 2.0)

    played(test)()
    assert not list(tmp_path.glob("unreported*"))


def test_it_counts_for_all_that_come_after_and_is_reported_once(tmp_path: Path) -> None:
    async def test(holders: Holders) -> None:
        sites = [Site(folder=tmp_path) for _ in range(4)]
        async with holders.store(sites[0]) as first:
            first.authority.delay = refuse
            assert await admitted(first, 60) == 30, "half, for it has never heard of it"
            await asyncio.sleep(2.0)
            async with holders.store(sites[1]) as beside:
                beside.authority.delay = refuse
                assert await admitted(beside, 60) == 15, "half of what the first has left"
        async with holders.store(sites[2]) as heir, holders.store(sites[3]) as idle:
            for store, share in ((heir, 0), (idle, 7)):
                store.authority.delay = refuse
                assert await admitted(store, 60) == share
            for store in (heir, idle):
                store.authority.delay = None
            await asyncio.sleep(2.0)
            async with holders.store() as another:
                assert await admitted(another, 60) == 60 - (30 + 15 + 7)

    played(test)()


@played
async def test_who_may_use_only_a_part_is_told_so(holders: Holders) -> None:
    """Not that the limit is used up, nor to wait until it is not: the authority may be back in a moment."""
    async with holders.store(Site(workers=4)) as store:
        few = store.meter("client:few", Limits(requests=2))
        rich, spent = (store.meter(f"client:{name}", Limits(budget=1000)) for name in ("rich", "spent"))
        await store.settle(await granted(store, few), 0)
        await store.settle(await granted(store, spent), 0, 900)
        await asyncio.sleep(1.0)
        store.authority.delay = refuse
        await asyncio.sleep(10.0)
        assert store.trouble() is not None
        for meter, cost, kind in ((few, 0, "requests"), (rich, 600, "budget"), (spent, 50, "budget")):
            refusal = await store.reserve(meter, 0, cost=cost)
            assert isinstance(refusal, Refusal)
            assert (refusal.kind, refusal.partial) == (kind, True)
            assert 0 < refusal.retry_after <= 5.0
        refusal = await store.reserve(spent, 0, cost=200)
        assert isinstance(refusal, Refusal)
        assert (refusal.kind, refusal.partial) == ("budget", False)
        assert refusal.retry_after > 86400.0


@played
async def test_closed_refuses_by_error_and_open_admits_all(holders: Holders) -> None:
    async with (
        holders.store(Site(on_trouble="closed")) as shut,
        holders.store(Site(on_trouble="open")) as wide,
    ):
        for store in (shut, wide):
            store.authority.delay = refuse
        with pytest.raises(StoreUnavailable, match="cannot be checked"):
            await shut.reserve(shut.meter("key:p/k", Limits(requests=10)), 0)
        meter = wide.meter("key:p/k", Limits(requests=10))
        for _ in range(20):
            await granted(wide, meter)
        wide.authority.delay = None
        await asyncio.sleep(1.0)
        assert used(meter) == {"requests": 20}


@played
async def test_a_bug_in_the_plugin_is_trouble_and_no_more(holders: Holders) -> None:
    async def broken() -> None:
        raise KeyError("held")

    async with holders.store() as store:
        store.authority.delay = broken
        meter = store.meter("key:p/k", Limits(requests=10))
        reservations: list[Reservation] = [await granted(store, meter) for _ in range(3)]
        await asyncio.sleep(1.0)
        trouble = store.trouble()
        assert trouble is not None
        assert "KeyError" in trouble.message
        assert len(reservations) == 3


@pytest.mark.parametrize(
    "nonsense",
    [
        cast(Answer, "yes"),
        Answer(granted={"requests": cast(int, "ten")}),
        Answer(buckets={"requests": [cast(tuple[float, int], (1.0,))]}),
        Answer(others=cast(dict[str, int], None)),
    ],
)
def test_an_answer_that_makes_no_sense_is_trouble_and_heals(nonsense: Answer) -> None:
    """Well counted, and nobody waits for ever."""

    async def test(holders: Holders) -> None:
        async with holders.store() as store:
            meter = store.meter("key:p/k", Limits(requests=10))
            store.authority.instead = nonsense
            for _ in range(3):
                await asyncio.wait_for(granted(store, meter), 1.0)
            await asyncio.sleep(1.0)
            trouble = store.trouble()
            assert trouble is not None
            assert "in its plugin" in trouble.message
            store.authority.instead = None
            await asyncio.sleep(1.0)
            assert store.trouble() is None
            for _ in range(7):
                await granted(store, meter)
            await refused(store, meter)

    played(test)()


@played
async def test_who_goes_as_the_authority_fails_is_told_nothing(holders: Holders) -> None:
    """A request that is cancelled ends as cancelled, whatever its store had to say at that moment."""
    async with holders.store(Site(on_trouble="closed")) as store:
        store.authority.delay = refuse
        meter = store.meter("key:p/k", Limits(requests=10))

        async def first() -> None:
            with pytest.raises(StoreUnavailable):
                await store.reserve(meter, 0)
            second.cancel()

        told = asyncio.ensure_future(first())
        second = asyncio.ensure_future(store.reserve(meter, 0))
        await asyncio.wait({told, second})
        assert second.cancelled()


def test_trouble_and_its_end_are_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    """However often it is tried meanwhile; and where it comes and goes, one pair in ten seconds."""

    async def test(holders: Holders) -> None:
        async with holders.store() as store:
            meter = store.meter("key:p/k", Limits(requests=1000))
            for _ in range(3):
                store.authority.delay = hang
                await granted(store, meter)
                await asyncio.sleep(1.2)
                store.authority.delay = None
                await asyncio.sleep(1.2)
            assert store.trouble() is None

    with caplog.at_level("INFO", "gateway_stores.windows.breaker"):
        played(test)()
    assert [record.getMessage() for record in caplog.records] == [
        "the store does not keep the limits",
        "the store keeps the limits again",
    ]
    assert "the test's authority" in vars(caplog.records[0])["store"]


@played
async def test_far_from_its_limits_a_subject_is_seldom_asked_for(holders: Holders) -> None:
    """Two requests a second for a minute: an exchange in several seconds, not one for each."""
    async with holders.store() as store:
        meter = store.meter("client:c", Limits(requests=100_000, tokens=10_000_000))
        for _ in range(120):
            await store.settle(await granted(store, meter, 300), 250)
            await asyncio.sleep(0.5)
        assert store.authority.asks < 60 + 20  # a beat each second, to know how the authority is
        assert 119 <= used(meter)["requests"] <= 122


@played
async def test_what_small_requests_use_of_large_limits_is_told_in_few_figures(holders: Holders) -> None:
    """Twenty subjects, a request a second for each, which counts in two windows."""
    async with holders.store() as store:
        limits = Limits(requests=100_000, tokens=10_000_000)
        meters = [store.meter(f"client:{number}", limits) for number in range(20)]
        for meter in meters * 120:
            await store.settle(await granted(store, meter, 300), 250)
            await asyncio.sleep(0.05)
        assert store.authority.uses < 120 * 20 * 2 / 3
        assert 60 <= used(meters[0])["requests"] <= 67  # a twelfth of the window more, and a sixtieth
        await asyncio.sleep(66.1)
        assert used(meters[0]) == {"requests": 0, "tokens": 0}


@played
async def test_subjects_that_rest_are_asked_for_together(holders: Holders) -> None:
    """A hundred subjects that all rest: an exchange is for all that come back in the same half second."""
    async with holders.store() as store:
        meters = [store.meter(f"client:{number}", Limits(requests=100_000)) for number in range(100)]
        for meter in meters * 20:
            await store.settle(await granted(store, meter, 0), 0)
            await asyncio.sleep(0.05)
        assert store.authority.asks < 600  # 100 to begin with, then one in 24 seconds for each
        assert store.authority.exchanges < 100 + 95 * 2


@played
async def test_subjects_that_nobody_refers_to_are_forgotten_once_all_is_told(holders: Holders) -> None:
    async with holders.store() as store:
        limits = Limits(requests=5, tokens=1000, parallel=2, budget=100)
        seen: list[weakref.ref[Meter]] = []
        for number in range(200):
            meter = store.meter(f"client:{number}", limits)
            seen.append(weakref.ref(meter))
            await store.settle(await granted(store, meter, 10), 10)
            del meter
        assert all(ref() is not None for ref in seen)
        await asyncio.sleep(30.0)
        assert [ref for ref in seen if ref() is not None] == []
        assert len(store.authority.windows.subjects()) == 200
        await asyncio.sleep(31 * 86400.0)
        windows = store.authority.windows
        windows.sweep(windows.subjects(), EPOCH + holders.clock())
        assert store.authority.windows.subjects() == []


@played
async def test_a_subject_that_is_in_use_or_referred_to_is_not_forgotten(holders: Holders) -> None:
    async with holders.store() as store:
        limits = Limits(requests=5)
        kept = store.meter("key:p/k", limits)
        taken = await granted(store, store.meter("client:c", limits))
        await asyncio.sleep(100.0)
        assert store.meter("key:p/k", limits) is kept
        assert store.meter("client:c", limits) is taken.meter
        assert taken.meter.in_flight == 1


@played
async def test_a_forgotten_subject_that_comes_back_has_used_what_it_used(holders: Holders) -> None:
    async with holders.store() as store:
        limits = Limits(requests=5)
        for _ in range(3):
            await store.settle(await granted(store, store.meter("client:c", limits)), 0)
        first = weakref.ref(store.meter("client:c", limits))
        await asyncio.sleep(20.0)
        assert first() is None
        for _ in range(2):
            await store.settle(await granted(store, store.meter("client:c", limits)), 0)
        refusal = await refused(store, store.meter("client:c", limits))
        assert 38.0 < refusal.retry_after <= 41.1
