"""The way to Redis: TLS, sentinels, clusters, servers that come and go, and replies that are lost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio.connection import Connection
from redis.crc import key_slot

from gateway.api import Limits, Refusal, Site, StoreUnavailable
from gateway.api.testing.ledger import plain
from gateway.logs import encode
from gateway_stores.redis import RedisStore
from gateway_stores.redis_address import parse_address
from gateway_stores.redis_config import RedisConfigStore
from gateway_stores.redis_link import Call, Link, Script
from tests.fakes.redis_server import RedisCluster, RedisSentinels, RedisServer, certificates, eventually
from tests.fakes.tcp_proxy import TcpProxy

PREFIXES = (f"link-{number}" for number in itertools.count())
HEALS = 15.0
"""Seconds after which it is no longer waited for."""


@asynccontextmanager
async def document(
    address: str, password: str | None = None, timeout: float = 1.0
) -> AsyncIterator[RedisConfigStore]:
    """A store that does one thing over a link."""
    store = RedisConfigStore(address, password, timeout=timeout, prefix=next(PREFIXES))
    try:
        yield store
    finally:
        await store.close()


async def until_healed(work: Callable[[], Awaitable[object]]) -> None:
    """Try until it works again."""
    begun = time.monotonic()
    while True:
        try:
            await work()
            return
        except StoreUnavailable:
            assert time.monotonic() - begun < HEALS
            await asyncio.sleep(0.02)


async def complaint(address: str, password: str | None = None, timeout: float = 1.0) -> str:
    """What is said of a server that cannot be used."""
    async with document(address, password, timeout) as store:
        with pytest.raises(StoreUnavailable) as caught:
            await store.write(b"data", "")
    assert caught.value.__cause__ is None
    return str(caught.value)


async def test_tls_is_verified(tls_files: Path) -> None:
    with RedisServer(tls=tls_files) as server:
        ca = f"?ssl_ca_certs={tls_files / 'ca.pem'}"
        async with document(f"rediss://{server.address}{ca}") as store:
            assert (await store.read()).data == b""
        assert "certificate" in await complaint(f"rediss://{server.address}")
        assert "certificate" in await complaint(f"rediss://localhost:{server.port}{ca}")
        assert await complaint(f"redis://{server.address}")


async def test_certificates_may_be_replaced(tls_files: Path, tmp_path: Path) -> None:
    """Those of the server by ones of another CA, and with them the file of CAs that are trusted."""
    files = shutil.copytree(tls_files, tmp_path / "tls")
    trusted = shutil.copy(files / "ca.pem", tmp_path / "trusted.pem")
    (tmp_path / "others").mkdir()
    with RedisServer(tls=files) as server:
        async with document(f"rediss://{server.address}?ssl_ca_certs={trusted}") as store:
            await store.read()
            shutil.copytree(certificates(tmp_path / "others"), files, dirs_exist_ok=True)
            server.kill()
            server.start()
            with pytest.raises(StoreUnavailable):  # the connection that was there
                await store.read()
            with pytest.raises(StoreUnavailable, match="certificate"):
                await store.read()
            shutil.copy(files / "ca.pem", trusted)
            await until_healed(store.read)


async def test_passwords_and_databases() -> None:
    with RedisServer("--requirepass", "hunter2") as server:
        async with document(f"redis://:hunter2@{server.address}/3") as store:
            await store.write(b"data", "")
        async with document(server.address, "hunter2") as store:
            assert await store.version() == ""
        for said in (
            await complaint(server.address),
            await complaint(server.address, "hunter3"),
            await complaint(f"redis://hunter3:hunter2@{server.address}"),
        ):
            assert "password" in said
            assert "hunter" not in said
            assert said in encode({"error": said}).decode(), "the log masks none of it"


@pytest.mark.parametrize(("database", "more"), [(0, ()), (3, ("+select",))])
async def test_a_user_needs_few_rights(own_redis: RedisServer, database: int, more: tuple[str, ...]) -> None:
    rights = ("~{coo-llm:*", "+@read", "+@write", "+@scripting", "+time", "+type", *more)
    own_redis.command("ACL", "SETUSER", "gateway", "on", ">hunter2", "resetchannels", *rights)
    address = f"redis://gateway:hunter2@{own_redis.address}/{database}"
    store, config = RedisStore(address), RedisConfigStore(address)
    await store.open(Site())
    assert store.trouble() is None
    await store.append([plain(1)])
    assert not await store.prune(0.0, 0.0)
    await store.cache_put("key", b"answer", 60.0)
    assert not isinstance(await store.reserve(store.meter("key:p/k", Limits(requests=5)), 0), Refusal)
    await config.write(b"data", "")
    assert store.trouble() is None
    await store.close()
    await config.close()


async def test_a_server_that_repeats_the_password_is_not_quoted() -> None:
    with RedisServer("--rename-command", "AUTH", "") as server:
        assert "hunter2" not in await complaint(f"redis://hunter2:hunter2@{server.address}")


async def test_what_is_wrong_is_said_in_words(own_redis: RedisServer, redis_cluster: RedisCluster) -> None:
    own_redis.command("CONFIG", "SET", "maxmemory", "1")
    assert "maxmemory" in await complaint(own_redis.address)
    own_redis.command("CONFIG", "SET", "maxmemory", "0")
    own_redis.command("REPLICAOF", "127.0.0.1", 1)
    assert "is a replica" in await complaint(own_redis.address)
    own_redis.kill()
    refused = f"redis at {own_redis.address}: cannot be reached: Connection refused"
    assert await complaint(own_redis.address) == refused
    others = [await _or_complaint(node.address) for node in redis_cluster.nodes]
    assert any("redis+cluster://" in said for said in others)


@pytest.mark.parametrize("right", ["~other:*", "-hset", "-time", "-evalsha", "-script"])
async def test_which_rights_are_missing_is_said(own_redis: RedisServer, right: str) -> None:
    rights = "+@read +@write +@scripting +time +type"
    missing = ("resetkeys", right) if right.startswith("~") else (right,)
    own_redis.command("ACL", "SETUSER", "gateway", "on", ">hunter2", "~{coo-llm:*", *rights.split(), *missing)
    store = RedisStore(f"redis://gateway:hunter2@{own_redis.address}")
    await store.open(Site())
    trouble = store.trouble()
    await store.close()
    assert trouble is not None
    assert f"it needs {rights} on ~{{coo-llm:*" in trouble.message
    assert ("evalsha" in trouble.message) == (right == "-evalsha"), "the server says which one, if it can"
    assert "hunter2" not in trouble.message


async def test_what_is_not_ours_is_named(own_redis: RedisServer) -> None:
    async with document(own_redis.address) as store:
        key = f"{{{store.prefix}:config}}"
        own_redis.command("SET", key, "not ours")
        with pytest.raises(StoreUnavailable) as caught:
            await store.read()
    assert str(caught.value) == (
        f"redis at {own_redis.address}: has something else at {key}*: delete that, or set another prefix in "
        "storage"
    ), "not where in a script it was found"


async def test_a_client_is_not_named(own_redis: RedisServer) -> None:
    key = "{coo-llm:client:mallory}"
    own_redis.command("SET", key, "not ours")
    link = Link(parse_address(own_redis.address), 1.0, "coo-llm")
    with pytest.raises(StoreUnavailable, match=r"at \{coo-llm:client:\*: delete"):
        await link.run([Call(Script("redis_config.lua"), key, ("read",))])
    await link.close()


async def test_a_slot_that_is_elsewhere_is_told_as_a_cluster() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            commands = len(re.findall(rb"^\*\d+\r$", data, re.MULTILINE))
            writer.write(b"-ASK 3999 127.0.0.1:1\r\n" * commands)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert "redis+cluster://" in await complaint(address)


async def _or_complaint(address: str) -> str:
    async with document(address) as store:
        try:
            await store.write(b"data", "")
        except StoreUnavailable as exc:
            return str(exc)
    return ""


async def test_a_server_that_is_loading_is_trouble() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            commands = len(re.findall(rb"^\*\d+\r$", data, re.MULTILINE))
            writer.write(b"-LOADING Redis is loading the dataset in memory\r\n" * commands)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        assert "loading" in await complaint(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")


async def test_a_restart_and_forgotten_scripts_are_not_noticed(own_redis: RedisServer) -> None:
    async with document(own_redis.address) as store:
        version = await store.write(b"1", "")
        own_redis.command("SCRIPT", "FLUSH")
        assert (await store.read()).version == version
        own_redis.kill()
        own_redis.start()
        await until_healed(store.read)
        assert (await store.read()).version == ""
        await store.write(b"2", "")


async def test_one_that_stands_still_is_given_up_in_time_and_healed(own_redis: RedisServer) -> None:
    async with document(own_redis.address, timeout=0.1) as store:
        await store.write(b"1", "")
        own_redis.pause()
        with pytest.raises(StoreUnavailable, match="in time"):
            await store.read()
        own_redis.resume()
        await until_healed(store.read)
        assert (await store.read()).data == b"1"


async def test_nothing_is_sent_twice_where_a_reply_is_lost(own_redis: RedisServer, tmp_path: Path) -> None:
    count = Script("redis_config.lua")
    count.text = b"return redis.call('INCR', KEYS[1])"
    count.digest = own_redis.command("SCRIPT", "LOAD", count.text).decode()
    async with TcpProxy(own_redis.port) as proxy:
        link = Link(parse_address(proxy.address), 1.0, "coo-llm")
        assert await link.run([Call(count, "counter", ())]) == [1]
        await proxy.become("drop_reply")
        with pytest.raises(StoreUnavailable):
            await link.run([Call(count, "counter", ())])
        await proxy.dropped.wait()
        await proxy.become("none")
        assert await link.run([Call(count, "counter", ())]) == [3]
        await link.close()


async def test_a_proxy_that_goes_and_comes_back(own_redis: RedisServer) -> None:
    async with TcpProxy(own_redis.port) as proxy, document(proxy.address, timeout=0.2) as store:
        await store.write(b"1", "")
        for toxic in ("down", "reset", "stall"):
            await proxy.become(toxic)
            with pytest.raises(StoreUnavailable):
                await store.read()
            await proxy.become("none")
            await until_healed(store.read)


async def test_sentinels_say_who_is_the_master_now(redis_sentinels: RedisSentinels) -> None:
    async with document(redis_sentinels.address) as store:
        await store.write(b"1", "")
        redis_sentinels.master.kill()
        with pytest.raises(StoreUnavailable):
            await store.read()

        async def write() -> None:
            await store.write(b"2", (await store.read()).version)

        await until_healed(write)
        assert redis_sentinels.replica.command("ROLE")[0] == b"master"
        assert "no master called" in await complaint(redis_sentinels.address.replace("/main", "/other"))


async def test_a_cluster_is_followed(redis_cluster: RedisCluster) -> None:
    redis_cluster.flush()
    async with contextlib.AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(document(redis_cluster.address)) for _ in range(12)]
        for number, store in enumerate(stores):
            store.prefix = next(
                name for name in PREFIXES if key_slot(f"{name}:config".encode()) * 12 // 16384 == number
            )
            await store.write(b"%d" % number, "")
        replica = redis_cluster.replica
        eventually(lambda: all(node.command("DBSIZE") for node in redis_cluster.nodes))
        replica.command("CLUSTER", "FAILOVER")

        async def read() -> None:
            for number, store in enumerate(stores):
                assert (await store.read()).data == b"%d" % number

        await until_healed(read)
        eventually(lambda: replica.command("ROLE")[0] == b"master")
        await until_healed(read)
    redis_cluster.settle()


async def test_a_cluster_heals_when_a_master_dies(redis_cluster: RedisCluster) -> None:
    replica = redis_cluster.replica
    dead = next(node for node in redis_cluster.nodes if node.port == replica.command("ROLE")[2])
    async with contextlib.AsyncExitStack() as stack:
        stores = [
            await stack.enter_async_context(document(redis_cluster.address, timeout=0.5)) for _ in range(6)
        ]
        for store in stores:
            await store.write(b"1", "")
        dead.kill()
        replica.command("CLUSTER", "FAILOVER", "TAKEOVER")  # as by itself, when it has been dead for a while
        for store in stores:
            await until_healed(store.read)
    dead.start()
    redis_cluster.settle()


async def test_more_calls_than_connections_wait_for_each_other(shared_redis: RedisServer) -> None:
    async with document(f"redis://{shared_redis.address}") as store:
        await store.write(b"data", "")
        documents = await asyncio.gather(*[store.read() for _ in range(200)])
        assert {document.data for document in documents} == {b"data"}


async def test_what_uvloop_says_of_a_lost_connection_is_trouble(
    shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object, **__: object) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    async with document(shared_redis.address) as store:
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "send_packed_command", lost)
            with pytest.raises(StoreUnavailable, match="the connection was lost"):
                await store.read()
        assert (await store.read()).version == ""
