"""What is the memory store's own; what every store does is in its conformance suite."""

from __future__ import annotations

from gateway.api import Filter, Limits
from gateway.api.testing.clock import ManualClock
from gateway.api.testing.stores import granted, record, refused
from gateway_stores.memory import KEPT_RECORDS, MemoryStore


async def test_keeps_the_last_records_and_knows_those_it_has() -> None:
    store = MemoryStore()
    await store.append([record(number) for number in range(KEPT_RECORDS + 5)])
    await store.append([record(KEPT_RECORDS)])
    kept = await store.requests(Filter(), KEPT_RECORDS * 2)
    assert len(kept) == KEPT_RECORDS
    assert (kept[0], kept[-1]) == (record(KEPT_RECORDS + 4), record(5))


async def test_a_refusal_names_the_window_that_takes_longest() -> None:
    store, clock = MemoryStore(), ManualClock()
    store.clock = clock
    meter = store.meter("key:p/k", Limits(requests=1, session=10, session_seconds=600.0))
    await store.settle(await granted(store, meter, 10), 10)
    refusal = await refused(store, meter, 1)
    assert (refusal.kind, refusal.limit, refusal.retry_after) == ("session", 10, 600.0)


async def test_a_limit_that_goes_takes_its_share_along() -> None:
    store = MemoryStore()
    meter = store.meter("key:p/k", Limits(requests=2, tokens=10))
    reservation = await granted(store, meter, 10)
    meter = store.meter("key:p/k", Limits())
    assert (meter.request_share, meter.token_share, meter.readings()) == (0.0, 0.0, [])
    await store.settle(reservation, 50)
    assert meter.in_flight == 0


def test_says_that_processes_do_not_share_it() -> None:
    assert MemoryStore().shared is False
