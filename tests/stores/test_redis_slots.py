"""Hash slots of a Redis cluster that move from one server to another."""

from __future__ import annotations

import itertools
from contextlib import AsyncExitStack

import pytest
from redis.crc import key_slot

from gateway.api import Filter, Site, StoreUnavailable
from gateway.api.testing.stores import record
from gateway_stores.redis_address import parse_address
from gateway_stores.redis_cache import RedisCache
from gateway_stores.redis_config import RedisConfigStore
from gateway_stores.redis_facts import RedisFacts
from gateway_stores.redis_ledger import RedisLedger
from gateway_stores.redis_link import Link
from tests.fakes.redis_server import RedisCluster

PREFIXES = (f"slots-{number}" for number in itertools.count())
SLOT = 8000
"""Not of the cluster's first server, which has a replica."""


async def test_a_slot_that_moves_is_asked_for(redis_cluster: RedisCluster) -> None:
    name = next(name for name in PREFIXES if key_slot(f"{name}:config".encode()) == SLOT)
    async with AsyncExitStack() as stack:
        store = RedisConfigStore(redis_cluster.address, prefix=name)
        stack.push_async_callback(store.close)
        version = await store.write(b"1", "")
        with redis_cluster.moving(SLOT) as move:
            assert (await store.read()).data == b"1"
            move()
            version = await store.write(b"2", version)
        assert (await store.read()).data == b"2"
        await store.write(b"3", version)


async def test_records_in_a_slot_that_moves_wait_and_are_counted_once(redis_cluster: RedisCluster) -> None:
    prefix = next(name for name in PREFIXES if key_slot(name.encode()) == SLOT)
    base = f"{{{prefix}}}"
    async with AsyncExitStack() as stack:
        link = Link(parse_address(redis_cluster.address), 5.0, prefix)
        stack.push_async_callback(link.close)
        ledger, cache = RedisLedger(link, base), RedisCache(link, base + ":cache")
        here, there = RedisFacts(link, base), RedisFacts(link, base)

        async def refused() -> None:
            for work in (
                ledger.append([record(2)]),
                ledger.totals(Filter(), ()),
                cache.get("key"),
                cache.put("key", b"another answer", 60.0, Site()),
                here.exchange("here", [("another", "fact", 60.0)]),
            ):
                with pytest.raises(StoreUnavailable, match="moves what it is asked for"):
                    await work

        await ledger.append([record(1)])
        await cache.put("key", b"answer", 60.0, Site())
        await here.exchange("here", [("name", "value", 60.0)])
        with redis_cluster.moving(SLOT) as move:
            await refused()
            move()
            await refused()
        await ledger.append([record(1), record(2)])
        [total] = await ledger.totals(Filter(), ())
        assert total.requests == 2
        assert await cache.get("key") == b"answer"
        assert [fact[0] for fact in await there.exchange("there", [])] == ["name"]
