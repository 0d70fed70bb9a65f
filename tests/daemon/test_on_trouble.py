"""``storage.on_trouble`` in a whole gateway: Redis is down at the start or goes down later, and is back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.children import children
from tests.daemon.running import KEY
from tests.daemon.working import WORKERS, Working, eventually, lines_of, settings, working
from tests.fakes.redis_server import RedisServer

LIMIT, ASKED = 20, 30
HEALED = 5.0
LOST, BACK = "the store does not keep the limits", "the store keeps the limits again"


def config(server: RedisServer, on_trouble: str) -> dict[str, Any]:
    """Two workers, a client with a limit."""
    storage = {"type": "redis", "addr": server.address}
    return settings(
        storage={
            "runtime": storage,
            "config": {"type": "file", "path": "config.json"},
            "journal": "journal",
            "on_trouble": on_trouble,
        },
        api_keys=[{"id": "one", "key": KEY, "limits": {"req_per_min": LIMIT}}],
    )


async def answers(gateway: Working) -> list[int]:
    return [await gateway.asked() for _ in range(ASKED)]


async def status_of(gateway: Working, path: str) -> int:
    async with gateway.session.get(f"{gateway.daemon.url}{path}") as response:
        return response.status


@pytest.mark.parametrize(
    ("on_trouble", "least", "most", "in_all"),
    [("local", 2, LIMIT // 4, LIMIT), ("open", ASKED, ASKED, ASKED + LIMIT // 4)],
)
async def test_redis_is_down_at_the_start(
    own_redis: RedisServer, tmp_path: Path, on_trouble: str, least: int, most: int, in_all: int
) -> None:
    """It starts and serves, no worker ends, the log is quiet; then it heals, and what was used counts."""
    own_redis.kill()
    async with working(tmp_path, config(own_redis, on_trouble)) as gateway:
        assert await status_of(gateway, "/health") == await status_of(gateway, "/readyz") == 200
        workers = children(gateway.daemon.pid)
        found = await answers(gateway)
        assert least <= found.count(200) <= most
        assert set(found) <= {200, 429}
        await eventually(lambda: len(lines_of(gateway.daemon, LOST)) == WORKERS)
        own_redis.start()
        await eventually(lambda: len(lines_of(gateway.daemon, BACK)) == WORKERS, HEALED)
        assert children(gateway.daemon.pid) == workers
        found += await answers(gateway)  # open: who comes back first is granted some of what is left then
        assert found.count(200) <= in_all


@pytest.mark.parametrize(
    ("limited", "words"),
    [
        ({"limits": {"req_per_min": 1}}, "limit of 1 requests a minute"),
        ({"budget": {"usd": 0.0001, "window": "30d"}}, "budget of $0.0001 in any 30 days"),
    ],
)
async def test_a_limit_of_which_only_a_part_may_be_used_is_not_called_reached(
    own_redis: RedisServer, tmp_path: Path, limited: dict[str, Any], words: str
) -> None:
    own_redis.kill()
    priced = {"input_token_cost": 0.001, "output_token_cost": 0.001}
    providers = [{"id": "echo", "type": "echo", "model": "m", "pricing": priced}]
    clients = [{"id": "one", "key": KEY, **limited}]
    sections = {**config(own_redis, "local"), "llm_providers": providers, "api_keys": clients}
    async with working(tmp_path, sections) as gateway, gateway.chat(max_tokens=50) as response:
        error = (await response.json())["error"]
        assert (response.status, error["type"]) == (429, "rate_limit_error")
        assert error["code"] == "rate_limit_exceeded"
        assert error["message"].startswith(f"Only a part of this API key's {words} may be used while")
        assert error["details"]["remaining"] == error["details"]["limit"] > 0
        assert 1 <= int(response.headers["retry-after"]) <= 5
        assert "x-should-retry" not in response.headers


async def test_closed_is_not_ready_while_redis_is_down(own_redis: RedisServer, tmp_path: Path) -> None:
    """It finds out by itself: a load balancer sends no requests meanwhile."""
    async with working(tmp_path, config(own_redis, "closed")) as gateway:
        own_redis.kill()
        await eventually(lambda: len(lines_of(gateway.daemon, LOST)) == WORKERS)
        assert await status_of(gateway, "/readyz") == 503
        own_redis.start()
        await eventually(lambda: len(lines_of(gateway.daemon, BACK)) == WORKERS, HEALED)
        assert await status_of(gateway, "/readyz") == 200


async def test_closed_answers_503_and_nothing_is_admitted(own_redis: RedisServer, tmp_path: Path) -> None:
    """What was leased already is used up first."""
    async with working(tmp_path, config(own_redis, "closed")) as gateway:
        assert await gateway.asked() == 200
        own_redis.kill()
        await eventually(lambda: bool(lines_of(gateway.daemon, LOST)))
        assert set(await answers(gateway)) <= {200, 503}  # 200: what was leased already
        assert {await gateway.asked() for _ in range(5)} == {503}
        async with gateway.chat() as response:
            assert (await response.json())["error"]["code"] == "store_unavailable"
        own_redis.start()
        began = time.monotonic()
        while await gateway.asked() != 200:
            assert time.monotonic() - began < HEALED
