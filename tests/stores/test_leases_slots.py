"""Parallel slots that processes share: refused only where all are in use, whoever holds them."""

from __future__ import annotations

import asyncio
import random

from gateway.api import Limits, Refusal, Site
from gateway.api.testing.stores import granted, refused
from tests.stores.leased import LeasedStore
from tests.stores.test_leases import Holders, played

TWO = Limits(parallel=2)
SUBJECT = "client:c"


def worker() -> Site:
    return Site(workers=2)


async def use(store: LeasedStore, seconds: float = 0.02) -> bool:
    """One request; whether it was admitted."""
    place = await store.reserve(store.meter(SUBJECT, TWO), 0)
    if isinstance(place, Refusal):
        return False
    await asyncio.sleep(seconds)
    await store.settle(place, 0)
    return True


async def burst(*stores: LeasedStore) -> None:
    """More at once than there are slots, each for longer than anybody waits."""
    assert sum(await asyncio.gather(*[use(store, 0.5) for store in stores for _ in range(4)])) == 2


@played
async def test_slots_that_are_free_are_had_at_once_also_after_somebody_waited_in_vain(
    holders: Holders,
) -> None:
    async with holders.store(worker()) as here, holders.store(worker()) as there:
        meter = there.meter(SUBJECT, TWO)
        for pause in (0.0, 0.01, 0.1, 0.3):
            places = [await granted(here, here.meter(SUBJECT, TWO)) for _ in range(2)]
            for _ in range(3):
                await refused(there, meter)
            for place in places:
                await here.settle(place, 0)
            await asyncio.sleep(pause or 0.001)
            before = there.clock()
            for place in [await granted(there, meter) for _ in range(2)]:
                await there.settle(place, 0)
            assert there.clock() - before < 0.11
            await asyncio.sleep(5.0)


@played
async def test_within_the_limit_nobody_is_refused_after_a_burst(holders: Holders) -> None:
    draw = random.Random(3)
    async with holders.store(worker()) as here, holders.store(worker()) as there:
        for _ in range(40):
            await burst(here, there)
            for _ in range(10):
                chosen = [draw.choice((here, there)) for _ in range(draw.choice((1, 2)))]
                assert all(await asyncio.gather(*[use(store) for store in chosen]))
                await asyncio.sleep(draw.choice((0.0, 0.005, 0.04)))


@played
async def test_only_one_waits_for_slots_that_stay_in_use(holders: Holders) -> None:
    async with holders.store(worker()) as here, holders.store(worker()) as there:
        meter = there.meter(SUBJECT, TWO)
        for _ in range(2):
            await granted(here, here.meter(SUBJECT, TWO))
        began = there.clock()
        await refused(there, meter)
        assert there.clock() - began > 0.2
        began, asked = there.clock(), there.authority.exchanges
        for _ in range(20):
            await refused(there, meter)
            await asyncio.sleep(0.1)
        assert there.clock() - began < 3.1  # two of them waited, a second apart
        assert there.authority.exchanges - asked < 40


@played
async def test_of_processes_that_always_have_somebody_in_line_each_has_its_turns(holders: Holders) -> None:
    served = [0, 0, 0]

    async def goes_on(store: LeasedStore, place: int) -> None:
        """One request after the other; who is refused looks again, as a line does."""
        meter, until = store.meter(SUBJECT, TWO), store.clock() + 60.0
        while store.clock() < until:
            slot = await store.reserve(meter, 0, again=0.5)
            if isinstance(slot, Refusal):
                await asyncio.sleep(0.1)
            else:
                served[place] += 1
                await asyncio.sleep(0.3)
                await store.settle(slot, 0)

    async with holders.store(worker()) as a, holders.store(worker()) as b, holders.store(worker()) as c:
        busy = [goes_on(a, 0) for _ in range(9)]
        await asyncio.gather(*busy, goes_on(b, 1), goes_on(c, 2))
    assert min(served) >= 50, served
    assert sum(served) >= 0.8 * 60.0 * 2 / 0.3, served  # no slot is idle for long


@played
async def test_who_is_alone_keeps_a_slot_from_one_request_to_the_next(holders: Holders) -> None:
    async with holders.store() as store:
        meter = store.meter(SUBJECT, Limits(parallel=1))
        for _ in range(100):
            await store.settle(await granted(store, meter), 0)
            await asyncio.sleep(0.01)
        assert store.authority.exchanges < 30
