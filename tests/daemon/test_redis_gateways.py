"""Two gateways at one Redis: one limit, one ledger, one set of cool-downs; and traffic goes on without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.api import Filter
from gateway_stores.windows.head_count import HeadCount
from tests.daemon.running import ADMIN_KEY, HELLO, KEY, Gateway, configured, running, until
from tests.fakes.redis_server import RedisServer

ECHO: dict[str, Any] = {"id": "echo", "type": "echo", "model": "m"}


def shared(server: RedisServer, folder: Path, **limits: int) -> dict[str, Any]:
    """A configuration whose state is in Redis."""
    redis = {"type": "redis", "addr": server.address}
    return configured(
        ECHO,
        api_keys=[{"id": "one", "key": KEY, "limits": limits}],
        storage={"config": redis, "runtime": redis, "journal": str(folder / "journal")},
        server={"admin_api_key": ADMIN_KEY},
    )


async def test_two_gateways_share_a_limit_and_a_ledger(own_redis: RedisServer, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    first, second = shared(own_redis, a, req_per_min=5), shared(own_redis, b, req_per_min=5)
    async with running(first, a) as one, running(second, b) as other:
        answers = [(await gateway.ask())[0] for gateway in (one, other) * 5]
        assert sorted(answers) == [200] * 5 + [429] * 5
        records = await one.records(10)
        assert await other.records(10) == records
        [total] = await other.live.store.totals(Filter(), [])
        assert (total.requests, total.errors) == (10, 5)


async def status(gateway: Gateway, key: str) -> int:
    """What a chat with this key is answered with."""
    url, body = f"{gateway.url}/v1/chat/completions", {"model": "m", "messages": HELLO}
    async with gateway.session.post(url, json=body, headers={"authorization": f"Bearer {key}"}) as response:
        return response.status


async def test_who_waits_at_one_gateway_has_its_turn_though_the_line_at_the_other_is_never_empty(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    slow = {**ECHO, "first_token_ms": 400, "limits": {"max_parallel": 1}}
    gateways = []
    async with AsyncExitStack() as stack:
        for name in ("a", "b"):
            folder = tmp_path / name
            folder.mkdir()
            config = shared(own_redis, folder)
            config["llm_providers"] = [slow]
            config["policy"] = {"on_exhausted": "queue", "queue": {"max_wait": "8s"}}
            gateways.append(await stack.enter_async_context(running(config, folder)))
        heavy, light = gateways

        async def keeps_asking() -> None:
            while True:
                await heavy.ask()

        busy = [asyncio.create_task(keeps_asking()) for _ in range(5)]
        await until(lambda: heavy.live.queue.size > 0)
        assert [(await light.ask())[0] for _ in range(2)] == [200] * 2
        for task in busy:
            task.cancel()
        await asyncio.wait(busy)


async def test_without_redis_gateways_that_serve_different_clients_keep_to_a_limit_together(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    configs = []
    for folder in folders:
        folder.mkdir()
        configs.append(shared(own_redis, folder, req_per_min=60))
        configs[-1]["api_keys"] += [
            {"id": name, "key": name, "limits": {"req_per_min": 1000}} for name in ("b", "c")
        ]
    async with (
        running(configs[0], folders[0]) as a,
        running(configs[1], folders[1]) as b,
        running(configs[2], folders[2]) as c,
    ):
        for gateway, key in ((a, KEY), (b, "b"), (c, "c")):
            assert await status(gateway, key) == 200
        await asyncio.sleep(1.0)  # by then each has heard that the others are there
        own_redis.kill()
        assert 30 <= 1 + await admitted(a, b, c) <= 60


async def admitted(*gateways: Gateway) -> int:
    """How many requests they take in, of more than enough."""
    answers = [(await gateway.ask())[0] for gateway in gateways for _ in range(61)]
    assert set(answers) == {200, 429}
    return answers.count(200)


NAMES = ("a", "b", "c", "d")


@asynccontextmanager
async def four(server: RedisServer, folder: Path) -> AsyncIterator[list[Gateway]]:
    """Gateways with folders of their own."""
    async with AsyncExitStack() as stack:
        gateways = []
        for name in NAMES:
            (folder / name).mkdir(exist_ok=True)
            config = shared(server, folder / name, req_per_min=60)
            gateways.append(await stack.enter_async_context(running(config, folder / name)))
        yield gateways


@pytest.mark.parametrize(
    ("before", "share"), [pytest.param(True, 60 // 8, id="again"), pytest.param(False, 60 // 4, id="first")]
)
async def test_gateways_that_start_without_redis_keep_to_a_limit_together(
    own_redis: RedisServer, tmp_path: Path, before: bool, share: int
) -> None:
    if before:
        for name in NAMES:
            HeadCount(tmp_path / name / "journal").note(4)
    own_redis.kill()
    async with four(own_redis, tmp_path) as gateways:
        assert await admitted(*gateways) == 4 * share


async def test_what_was_used_without_redis_counts_after_restarts(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    config = shared(own_redis, tmp_path, req_per_min=60)
    async with running(config, tmp_path) as gateway:
        assert (await gateway.ask())[0] == 200
        own_redis.kill()
        used = 1 + await admitted(gateway)
    for _ in range(2):
        async with running(config, tmp_path) as gateway:
            answers = [(await gateway.ask())[0] for _ in range(5)]
            assert answers == [429] * 5
    own_redis.start()
    async with running(config, tmp_path) as gateway:
        await until(lambda: gateway.live.store.trouble() is None)
        _, client = await gateway.admin("GET", "clients/one")
        assert client["windows"]["requests"]["used"] == used


async def test_traffic_goes_on_without_redis_and_its_records_arrive(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    async with running(shared(own_redis, tmp_path), tmp_path) as gateway:
        assert (await gateway.ask())[0] == 200
        await gateway.records(1)
        own_redis.kill()
        assert [(await gateway.ask())[0] for _ in range(5)] == [200] * 5
        await until(lambda: gateway.live.store.trouble() is not None)
        assert (await gateway.samples()).sum("store_degraded") >= 1
        own_redis.start()
        await until(lambda: gateway.live.store.trouble() is None)
        assert len(await gateway.records(5)) == 5
