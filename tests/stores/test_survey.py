"""How windows stand by the authority's word: what is asked, and what is said where it does not answer."""

from __future__ import annotations

from gateway.api import Limits
from gateway.api.testing.stores import granted, surveyed
from gateway_stores.windows.leased_meter import LeasedMeter
from gateway_stores.windows.quota import Answer
from gateway_stores.windows.survey import AT_ONCE
from tests.stores.leased import LeasedStore
from tests.stores.test_leases import Holders, played

LIMITS = Limits(requests=1000, tokens=10_000)


def meter(store: LeasedStore, name: str = "c", limits: Limits = LIMITS) -> LeasedMeter:
    return store.windows.meter(f"client:{name}", limits)


async def used(store: LeasedStore, one: LeasedMeter) -> dict[str, int]:
    [tallies] = await store.windows.survey([one])
    return surveyed(tallies)


@played
async def test_who_comes_later_is_told_what_was_used(holders: Holders) -> None:
    async with holders.store() as before:
        await before.settle(await granted(before, meter(before), 10), 7)
    async with holders.store() as after:
        assert await used(after, meter(after)) == {"requests": 1, "tokens": 7}
        [[requests, _]] = await after.windows.survey([meter(after)])
        assert 59.0 < requests.reset <= 61.0
        assert (requests.limit, requests.pending) == (1000, 0)


@played
async def test_a_window_that_became_shorter_is_told_as_such(holders: Holders) -> None:
    month, hour = Limits(budget=1000), Limits(budget=1000, budget_seconds=3600.0)
    async with holders.store() as store:
        one = meter(store, limits=month)
        taken = await store.reserve(one, 0, cost=9)
        await store.settle(taken, 0, 9)  # type: ignore[arg-type]
    holders.clock.advance(15 * 3600.0)
    async with holders.store() as store:
        for _ in range(2):  # looking changes nothing
            assert await used(store, meter(store, limits=hour)) == {"budget": 0}
            assert await used(store, meter(store, limits=month)) == {"budget": 9}


@played
async def test_many_are_asked_for_at_once_and_those_without_limits_not_at_all(holders: Holders) -> None:
    async with holders.store() as store:
        meters = [meter(store, str(number)) for number in range(AT_ONCE)]
        found = await store.windows.survey([*meters, meter(store, "free", Limits())])
        assert len(found) == AT_ONCE + 1
        assert found[-1] == []
        assert (store.authority.exchanges, store.authority.asks) == (1, AT_ONCE)


@played
async def test_while_the_authority_fails_it_is_told_what_this_process_knows(holders: Holders) -> None:
    async with holders.store() as store:
        one = meter(store)
        await store.settle(await granted(store, one, 10), 7)

        async def fail() -> None:
            raise OSError("away")

        store.authority.delay = fail
        assert await used(store, one) == {"requests": 1, "tokens": 7}
        assert store.trouble() is None, "looking is no reason to wait for it no longer"


@played
async def test_an_authority_that_knows_no_looks_is_believed_nothing(holders: Holders) -> None:
    async with holders.store() as store:
        one = meter(store)
        await store.settle(await granted(store, one, 10), 7)
        store.authority.instead = Answer(stale=True)
        assert await used(store, one) == {"requests": 1, "tokens": 7}
