"""Conformance suite for stores that processes share: subclass it beside `StoreConformance`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.api import Limits, Refusal, Site, Store, Surveying
from gateway.api.testing.stores import granted, refused, surveyed, used

SOON = 2.0
"""Seconds within which one process must know what another said, with room for a slow machine."""


class SharedStoreConformance:
    """What stores must do that several processes open at once. In real time."""

    hears = True
    """Whether facts are shared, too."""

    def make_stores(self, count: int) -> list[Store]:
        """Stores not opened yet over the same, empty place."""
        raise NotImplementedError

    @asynccontextmanager
    async def opened(self, sites: list[Site]) -> AsyncIterator[list[Store]]:
        stores = self.make_stores(len(sites))
        for number, (store, site) in enumerate(zip(stores, sites, strict=True)):
            site.holder = f"holder-{number}"
            await store.open(site)
        yield stores
        for store in stores:
            await store.close()

    async def test_of_a_hundred_at_once_a_budget_for_one_admits_one(self) -> None:
        async with self.opened([Site() for _ in range(4)]) as stores:
            meters = [(store, store.meter("client:c", Limits(budget=1000))) for store in stores]
            attempts = (store.reserve(meter, 0, cost=600) for _ in range(25) for store, meter in meters)
            answers = await asyncio.gather(*attempts)
        assert sum(not isinstance(answer, Refusal) for answer in answers) == 1

    async def test_what_one_uses_is_gone_for_the_other(self) -> None:
        async with self.opened([Site(), Site()]) as (here, there):
            limits = Limits(requests=5, tokens=100)
            mine, theirs = here.meter("key:p/k", limits), there.meter("key:p/k", limits)
            for _ in range(3):
                await here.settle(await granted(here, mine, 10), 5)
            for _ in range(2):
                await there.settle(await granted(there, theirs, 10), 5)
            for store, meter in ((here, mine), (there, theirs)):
                assert 30.0 < (await refused(store, meter)).retry_after <= 61.5
                assert used(meter)["requests"] == 5
                assert 25 <= used(meter)["tokens"] <= 50  # what another holds for a moment counts

    async def test_a_survey_tells_what_all_use_and_not_what_they_hold(self) -> None:
        async with self.opened([Site(), Site(), Site()]) as (here, there, idle):
            if not (isinstance(here, Surveying) and isinstance(there, Surveying)):
                return
            assert isinstance(idle, Surveying)
            limits = Limits(requests=1000, tokens=10_000, parallel=50)
            mine, theirs, other = (store.meter("client:c", limits) for store in (here, there, idle))
            for store, meter in ((here, mine), (there, theirs), (there, theirs)):
                await store.settle(await granted(store, meter, 10), 5)
            await granted(there, theirs, 10)
            for _ in range(3):
                [found] = await idle.survey([other])
                told = surveyed(found, here.tallies(mine), there.tallies(theirs))
                assert told == {"requests": 4, "tokens": 25, "parallel": 1}
                await asyncio.sleep(SOON / 8)  # what was used is reported meanwhile

    async def test_who_waits_for_a_slot_has_one_though_another_always_asks(self) -> None:
        async with self.opened([Site(workers=2), Site(workers=2)]) as (here, there):
            limits = Limits(parallel=1)
            mine, theirs = here.meter("key:p/k", limits), there.meter("key:p/k", limits)

            async def keeps_asking() -> None:
                while True:
                    slot = await here.reserve(mine, 0, again=SOON)
                    if not isinstance(slot, Refusal):
                        await asyncio.sleep(0.05)
                        await here.settle(slot, 0)

            busy = [asyncio.create_task(keeps_asking()) for _ in range(4)]
            async with asyncio.timeout(4 * SOON):
                while isinstance(await there.reserve(theirs, 0, again=SOON), Refusal):
                    pass
            for task in busy:
                task.cancel()

    async def test_a_fact_is_heard_by_the_others(self) -> None:
        if not self.hears:
            return
        facts: asyncio.Queue[tuple[str, str, float]] = asyncio.Queue()
        sites = [Site(), Site(heard=lambda *fact: facts.put_nowait(fact))]
        async with self.opened(sites) as (here, _):
            here.share("cool:key:p/k", "reason", 30.0)
            async with asyncio.timeout(SOON):
                name, value, seconds = await facts.get()
        assert (name, value) == ("cool:key:p/k", "reason")
        assert 30.0 - SOON <= seconds <= 30.0
