"""Redis in trouble: requests go on at once and within the limits, it heals by itself, and uses count once."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from redis.asyncio.connection import Connection
from redis.crc import key_slot

from gateway.api import Filter, Limits, Refusal, Reservation, Site, StoreUnavailable
from gateway.api.testing.ledger import plain
from gateway_stores import redis_link
from gateway_stores.redis import RedisStore
from gateway_stores.redis_authority import RedisAuthority
from gateway_stores.redis_config import RedisConfigStore
from gateway_stores.windows.quota import Answer, Ask
from tests.fakes.redis_server import RedisCluster, RedisSentinels, RedisServer
from tests.fakes.tcp_proxy import TcpProxy, Toxic

PREFIXES = (f"trouble-{number}" for number in itertools.count())
HEALS = 5.0
PROMPT = 1.0
"""Seconds that no reservation takes, even on a busy machine; far less than the store's timeout."""
TEN = Limits(requests=10)


@asynccontextmanager
async def gateway(address: str, prefix: str = "trouble", **site: object) -> AsyncIterator[RedisStore]:
    """The store of one process."""
    store = RedisStore(address, prefix=prefix)
    await store.open(Site(holder=f"holder-{next(PREFIXES)}", **site))  # type: ignore[arg-type]
    try:
        yield store
    finally:
        await store.close()


async def take(store: RedisStore, limits: Limits = TEN) -> Reservation | Refusal:
    """Reserve one request, which must not take long."""
    begun = time.monotonic()
    answer = await store.reserve(store.meter("key:p/k", limits), 0)
    assert time.monotonic() - begun < PROMPT
    return answer


async def granted(store: RedisStore, times: int, limits: Limits = TEN) -> int:
    """How many of so many are granted."""
    answers = [await take(store, limits) for _ in range(times)]
    return sum(not isinstance(answer, Refusal) for answer in answers)


async def until(true: Callable[[], object], within: float = HEALS) -> None:
    """Wait for what happens in the background."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < within
        await asyncio.sleep(0.01)


async def until_healed(work: Callable[[], Awaitable[object]]) -> None:
    """Try until it works again."""
    begun = time.monotonic()
    while True:
        try:
            await work()
            return
        except StoreUnavailable:
            assert time.monotonic() - begun < HEALS
            await asyncio.sleep(0.01)


async def used(server: RedisServer, prefix: str = "trouble") -> int:
    """What a gateway that begins now reads of the key's window."""
    async with gateway(server.address, prefix) as store:
        meter = store.meter("key:p/k", Limits(requests=1000))
        reservation = await store.reserve(meter, 0)
        assert not isinstance(reservation, Refusal)
        await store.release(reservation)
        return meter.readings()[0].used


async def test_gateways_share_a_limit(own_redis: RedisServer) -> None:
    async with gateway(own_redis.address) as one, gateway(own_redis.address) as other:
        assert sum([await granted(store, 1) for store in (one, other) * 10]) == 10


async def test_a_process_that_was_stopped_goes_by_the_answer(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it goes on it finds the answer, and at the same moment that the time for one is long over."""
    exchange, reply = RedisAuthority.exchange, redis_link._reply

    def stopped(connection: Connection) -> Awaitable[object]:
        time.sleep(3 * redis_link.PROMPT)
        return reply(connection)

    async def stop_meanwhile(self: RedisAuthority, asks: Sequence[Ask]) -> Sequence[Answer]:
        with monkeypatch.context() as patch:
            patch.setattr(redis_link, "_reply", stopped)
            return await exchange(self, asks)

    async with gateway(own_redis.address) as one, gateway(own_redis.address) as other:
        assert await granted(one, 10) == 10
        monkeypatch.setattr(RedisAuthority, "exchange", stop_meanwhile)
        assert isinstance(await other.reserve(other.meter("key:p/k", TEN), 0), Refusal)
        monkeypatch.undo()
        assert other.trouble() is None


async def test_down_at_the_start_a_safe_share_is_admitted_until_it_comes(own_redis: RedisServer) -> None:
    own_redis.kill()
    async with gateway(own_redis.address, workers=2) as store:
        assert await granted(store, 10) == 1
        assert store.trouble() is not None
        own_redis.start()
        await until(lambda: store.trouble() is None)
        assert 0 < await granted(store, 20) <= 9
    assert await used(own_redis) <= 10


@pytest.mark.parametrize(("on_trouble", "expected"), [("local", 3), ("open", 20)])
async def test_down_meanwhile(own_redis: RedisServer, on_trouble: str, expected: int) -> None:
    async with gateway(own_redis.address, on_trouble=on_trouble) as store:
        assert await granted(store, 7) == 7
        await until(lambda: store.meter("key:p/k", TEN).readings()[0].used == 7)
        own_redis.kill()
        assert await granted(store, 20) == expected
        await until(lambda: store.trouble() is not None)
        assert own_redis.address in str(store.trouble())
        begun = time.monotonic()
        await granted(store, 100)
        assert time.monotonic() - begun < PROMPT, "nobody waits any longer"


async def test_closed_means_closed(own_redis: RedisServer) -> None:
    async with gateway(own_redis.address, on_trouble="closed") as store:
        assert await granted(store, 1) == 1
        own_redis.kill()
        with pytest.raises(StoreUnavailable):
            await granted(store, 20)


@pytest.mark.parametrize("limits", [TEN, Limits()])
async def test_down_at_the_start_that_limits_cannot_be_checked_is_known_at_once(
    own_redis: RedisServer, limits: Limits
) -> None:
    """Before the first exchange has failed; where there are limits."""
    own_redis.kill()
    store = RedisStore(own_redis.address)
    meter = store.meter("key:p/k", limits)
    await store.open(Site(on_trouble="closed"))
    trouble = store.trouble()
    assert trouble is not None
    assert trouble.limits == bool(meter.limits.requests)
    await store.close()


@pytest.mark.parametrize("toxic", ["down", "stall", "reset", "drop_reply"])
async def test_every_use_counts_once_whatever_the_way_is_like(own_redis: RedisServer, toxic: Toxic) -> None:
    limits = Limits(requests=1000)
    async with TcpProxy(own_redis.port) as proxy, gateway(proxy.address) as store:
        assert await granted(store, 20, limits) == 20
        await proxy.become(toxic)
        assert await granted(store, 20, limits) == 20
        await until(lambda: store.trouble() is not None)
        assert await granted(store, 20, limits) == 20
        await proxy.become("none")
        await until(lambda: store.trouble() is None)
        assert await granted(store, 20, limits) == 20
    assert await used(own_redis) == 80


async def test_one_that_stands_still_or_is_slow_holds_nobody_up(own_redis: RedisServer) -> None:
    async with TcpProxy(own_redis.port) as proxy, gateway(proxy.address) as store:
        assert await granted(store, 2) == 2
        own_redis.pause()
        await until(lambda: store.trouble() is not None)
        assert await granted(store, 20) <= 8
        own_redis.resume()
        await until(lambda: store.trouble() is None)
        proxy.latency = 2.0
        await until(lambda: store.trouble() is not None)
        await granted(store, 20)
        proxy.latency = 0.0
        await until(lambda: store.trouble() is None)


HARM: dict[str, tuple[list[tuple[str, ...]], list[tuple[str, ...]]]] = {
    "out of memory": ([("CONFIG", "SET", "maxmemory", "1")], [("CONFIG", "SET", "maxmemory", "0")]),
    "a replica": ([("REPLICAOF", "127.0.0.1", "1")], [("REPLICAOF", "NO", "ONE")]),
    "a new password": (
        [("CONFIG", "SET", "requirepass", "x"), ("CLIENT", "KILL", "TYPE", "normal")],
        [("CONFIG", "SET", "requirepass", "")],
    ),
}


@pytest.mark.parametrize("harm", HARM)
async def test_a_server_that_refuses(own_redis: RedisServer, harm: str) -> None:
    limits = Limits(requests=1000)
    spoil, mend = HARM[harm]
    with own_redis.session() as session:
        async with gateway(own_redis.address) as store:
            assert await granted(store, 5, limits) == 5
            for words in spoil:
                session(*words)
            await until(lambda: store.trouble() is not None)
            assert await granted(store, 5, limits) == 5
            with pytest.raises(StoreUnavailable):
                await store.append([plain(1)])
            for words in mend:
                session(*words)
            await until_healed(lambda: store.append([plain(1)]))
            await until(lambda: store.trouble() is None)
    assert await used(own_redis) == 10


async def test_cached_answers_take_no_memory_that_is_not_there(own_redis: RedisServer) -> None:
    """Nor does one that takes the place of another, for which something is written before."""
    most = 8_000_000
    own_redis.command("CONFIG", "SET", "maxmemory", most)
    async with gateway(own_redis.address) as store:
        kept = 0
        for number in range(200):
            with suppress(StoreUnavailable):
                await store.cache_put(f"answer {number % 150}", bytes(100_000), 60.0)
                kept += 1
        assert 0 < kept < 100
        assert own_redis.command("INFO", "memory")["used_memory"] < most + 1_000_000


async def test_a_question_about_many_minutes_reads_few_at_once(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    run = redis_link.Link.run

    async def counted(self: redis_link.Link, *args: Any) -> list[Any]:
        replies = await run(self, *args)
        read.extend(len(reply) for reply in replies if isinstance(reply, list))
        return replies

    async with gateway(own_redis.address) as store:
        await store.append([plain(60 * minute) for minute in range(100)])
        monkeypatch.setattr(redis_link.Link, "run", counted)
        points = await store.series(Filter(plain(0).time, plain(6000).time), 360.0)
        assert sum(total.requests for _, total in points) == 100
        assert max(read) <= 10


@pytest.mark.parametrize("harm", [("SCRIPT", "FLUSH"), ("FLUSHALL",), ("restart",)])
async def test_what_is_lost_is_not_missed(own_redis: RedisServer, harm: tuple[str, ...]) -> None:
    async with gateway(own_redis.address) as store:
        assert await granted(store, 5) == 5
        if harm == ("restart",):
            own_redis.kill()
            own_redis.start()
        else:
            own_redis.command(*harm)
        assert await granted(store, 20) <= 10
        await until(lambda: store.trouble() is None)
        await until_healed(lambda: store.append([plain(1), plain(2)]))
        assert len(await store.requests(Filter(), 10)) == 2
        assert (await store.totals(Filter(), []))[0].requests == 2


async def test_records_whose_reply_is_lost_are_counted_once(own_redis: RedisServer) -> None:
    records = [plain(second) for second in range(150)]
    async with TcpProxy(own_redis.port) as proxy, gateway(proxy.address) as store:
        await store.append(records[:50])
        await proxy.become("drop_reply")
        with pytest.raises(StoreUnavailable):
            await store.append(records)
        await proxy.become("none")
        await until_healed(lambda: store.append(records))
        assert len(await store.requests(Filter(), 1000)) == 150
        assert (await store.totals(Filter(), []))[0].requests == 150


async def test_records_that_it_takes_none_of_are_trouble_until_it_does(own_redis: RedisServer) -> None:
    async with gateway(own_redis.address) as store:
        own_redis.command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreUnavailable):
            await store.append([plain(1)])
        trouble = store.trouble()
        assert trouble is not None
        assert own_redis.address in trouble.message
        assert await store.requests(Filter(), 10) == []
        with pytest.raises(StoreUnavailable):
            await store.append([plain(1)])
        assert store.trouble() == trouble
        own_redis.command("CONFIG", "SET", "maxmemory", "0")
        await store.append([plain(1)])
        assert store.trouble() is None


async def test_records_are_kept_where_others_put_something(own_redis: RedisServer) -> None:
    async with gateway(own_redis.address) as store:
        for part in ("records", "times", "requests", "groups", "days", "86400:1699920000"):
            own_redis.command("SET", f"{{trouble:ledger}}:{part}", "not ours")
        await store.append([plain(1), plain(2)])
        own_redis.command("HSET", "{trouble:ledger}:records", plain(2).id, '{"of": "another version"}')
        assert await store.requests(Filter(), 10) == [plain(1)]
        assert await store.request(plain(2).id) is None
        assert (await store.totals(Filter(), []))[0].requests == 2
        for part in ("expiries", "ages", "sizes", "bytes", "answer:key"):
            own_redis.command("DEL", f"{{trouble:cache}}:{part}")
            own_redis.command("LPUSH", f"{{trouble:cache}}:{part}", "not ours")
            await store.cache_put("key", b"answer", 60.0)
            assert await store.cache_get("key") == b"answer"
        own_redis.command("SET", "{trouble:cache}:answer:key", b"\x80pickle")
        assert await store.cache_get("key") is None


async def test_a_master_that_dies_behind_sentinels(redis_sentinels: RedisSentinels) -> None:
    async with gateway(redis_sentinels.address) as store:
        assert await granted(store, 5) == 5
        redis_sentinels.master.kill()
        assert await granted(store, 20) <= 5
        await until_healed(lambda: store.append([plain(1)]))
        await until(lambda: store.trouble() is None)


async def test_a_cluster_that_fails_over(redis_cluster: RedisCluster) -> None:
    prefix = next(PREFIXES)
    limits = Limits(requests=1000)
    async with gateway(redis_cluster.address, prefix) as store:
        meters = [store.meter(f"key:p/{number}", limits) for number in range(12)]
        for meter in meters:
            assert not isinstance(await store.reserve(meter, 0), Refusal)
        replica = redis_cluster.replica
        replica.command("CLUSTER", "FAILOVER")
        await until(lambda: replica.command("ROLE")[0] == b"master")
        for meter in meters:
            assert not isinstance(await store.reserve(meter, 0), Refusal)
        await until(lambda: store.trouble() is None)
    async with gateway(redis_cluster.address, prefix) as store:
        meters = [store.meter(f"key:p/{number}", limits) for number in range(12)]
        for meter in meters:
            await store.reserve(meter, 0)
        a_turn_for_each = 2.0 * len(meters)  # what is far from its limits is asked for one by one
        await until(lambda: {meter.readings()[0].used for meter in meters} == {3}, a_turn_for_each)
    redis_cluster.settle()


async def test_a_cluster_whose_master_stands_still_until_it_is_replaced(redis_cluster: RedisCluster) -> None:
    replica = redis_cluster.replica
    hung = next(node for node in redis_cluster.nodes if node.port == replica.command("ROLE")[2])
    prefix = next(
        name for name in PREFIXES if _on_first(f"{name}:key:p/k") and not _on_first(f"{name}:facts")
    )
    async with gateway(redis_cluster.address, prefix) as store:
        assert await granted(store, 5) == 5
        hung.pause()
        try:
            await until(lambda: store.trouble() is not None)
            replica.command("CLUSTER", "FAILOVER", "TAKEOVER")  # as by itself, after a while
            await until(lambda: store.trouble() is None)
            assert await granted(store, 1) == 1
        finally:
            hung.resume()
    redis_cluster.settle()
    hung.command("CLUSTER", "FAILOVER", "TAKEOVER")  # back: nobody votes on one master twice in a row
    redis_cluster.settle()


def _on_first(tag: str) -> bool:
    """Whether what has this hash tag is where the one replica may take over."""
    return bool(key_slot(tag.encode()) < 5461)


ODD = [
    b"$-1\r\n",
    b":4\r\n",
    b"+OK\r\n",
    b"$4\r\n\xff{[}\r\n",
    b"$a\r\n",
    b"*0\r\n",
    b"*1\r\n:7\r\n",
    b"*2\r\n:0\r\n*0\r\n",
    b"-MOVED\r\n",
]


@asynccontextmanager
async def odd_redis(reply: bytes) -> AsyncIterator[str]:
    """The address of one that answers every command so."""
    open_ones: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        while data := await reader.read(65536):
            writer.write(reply * len(re.findall(rb"^\*\d+\r$", data, re.MULTILINE)))
        writer.close()
        open_ones.remove(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await until(lambda: not open_ones)


@asynccontextmanager
async def document(address: str) -> AsyncIterator[RedisConfigStore]:
    store = RedisConfigStore(address)
    try:
        yield store
    finally:
        await store.close()


@pytest.mark.parametrize("reply", ODD)
async def test_a_reply_of_another_form_is_trouble(reply: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with odd_redis(reply) as address, gateway(address) as store:
        for work in (
            lambda: store.append([plain(1)]),
            lambda: store.prune(0.0, 0.0),
            lambda: store.requests(Filter(), 10),
            lambda: store.totals(Filter(), []),
            lambda: store.series(Filter(), 60.0),
        ):
            with pytest.raises(StoreUnavailable, match=address):
                await work()
        await until(lambda: store.trouble() is not None)
        for url in (address, f"redis+cluster://{address}", f"redis+sentinel://{address}/main"):
            async with document(url) as config:
                with pytest.raises(StoreUnavailable, match=address):
                    await config.read()
    assert "bug" not in caplog.text


@pytest.mark.parametrize("reply", [b"$-1\r\n", b"+OK\r\n", b"*0\r\n", b":4\r\n"])
async def test_a_document_that_is_not_acknowledged_is_not_written(reply: bytes) -> None:
    async with odd_redis(reply) as address, document(address) as store:
        with pytest.raises(StoreUnavailable, match="not ours"):
            await store.write(b"data", "")
