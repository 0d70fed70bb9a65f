"""Conformance suite for cached answers in stores: subclass `CacheConformance` and say how to make yours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.api import Site, Store
from gateway.api.testing.clock import ManualClock


class CacheConformance:
    """What every store must do with cached answers. Each test opens a fresh, empty store."""

    def make_store(self, clock: ManualClock) -> Store:
        """A store not opened yet, empty, that takes its time from ``clock``."""
        raise NotImplementedError

    async def elapse(self, clock: ManualClock, seconds: float) -> None:
        """Let time pass for the store; to be overridden where it does not go by ``clock``."""
        clock.advance(seconds)

    @asynccontextmanager
    async def opened(self, clock: ManualClock, site: Site | None = None) -> AsyncIterator[Store]:
        store = self.make_store(clock)
        await store.open(site or Site())
        try:
            yield store
        finally:
            await store.close()

    async def test_an_answer_comes_back_as_it_was(self) -> None:
        async with self.opened(ManualClock()) as store:
            assert await store.cache_get("key") is None
            values = {"key": bytes(range(256)), "empty": b"", "größer ☃": b"x" * 300_000}
            for key, value in values.items():
                await store.cache_put(key, value, 60.0)
            assert {key: await store.cache_get(key) for key in values} == values

    async def test_the_later_of_two_counts(self) -> None:
        async with self.opened(ManualClock()) as store:
            await store.cache_put("key", b"earlier", 60.0)
            await store.cache_put("key", b"later", 60.0)
            assert await store.cache_get("key") == b"later"

    async def test_an_answer_expires(self) -> None:
        clock = ManualClock()
        async with self.opened(clock) as store:
            await store.cache_put("short", b"1", 0.25)
            await store.cache_put("long", b"2", 60.0)
            assert await store.cache_get("short") == b"1"
            await self.elapse(clock, 0.375)
            assert await store.cache_get("short") is None
            assert await store.cache_get("long") == b"2"

    async def test_putting_it_again_renews_it(self) -> None:
        clock = ManualClock()
        async with self.opened(clock) as store:
            await store.cache_put("key", b"1", 0.25)
            await store.cache_put("key", b"1", 60.0)
            await self.elapse(clock, 0.375)
            assert await store.cache_get("key") == b"1"

    async def test_the_oldest_go_where_there_are_too_many(self) -> None:
        async with self.opened(ManualClock(), Site(cache_entries=10)) as store:
            for number in range(50):
                await store.cache_put(f"key-{number}", b"value", 60.0)
            found = [number for number in range(50) if await store.cache_get(f"key-{number}") is not None]
            assert found == list(range(50 - len(found), 50))
            assert 1 <= len(found) <= 10

    async def test_the_oldest_go_where_they_are_too_large_together(self) -> None:
        async with self.opened(ManualClock(), Site(cache_bytes=10_000)) as store:
            for number in range(50):
                await store.cache_put(f"key-{number}", b"v" * 1000, 60.0)
            found = [number for number in range(50) if await store.cache_get(f"key-{number}") is not None]
            assert found == list(range(50 - len(found), 50))
            assert 1 <= len(found) <= 10

    async def test_bounds_may_change_while_it_is_open(self) -> None:
        site = Site()
        async with self.opened(ManualClock(), site) as store:
            for number in range(5):
                await store.cache_put(f"key-{number}", b"value", 60.0)
            site.cache_entries = 2
            await store.cache_put("last", b"value", 60.0)
            assert await store.cache_get("last") == b"value"
            assert await store.cache_get("key-0") is None
