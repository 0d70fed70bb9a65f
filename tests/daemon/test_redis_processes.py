"""Two gateways of two workers each at one Redis: what one process finds out holds for all within a second."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.running import ADMIN, KEY, openai
from tests.daemon.test_limits_keys import most_within
from tests.daemon.working import Working, settings, working
from tests.fakes.openai import FakeOpenAI
from tests.fakes.redis_server import RedisServer
from tests.fakes.upstream import Fault

LIMIT = 60
HEARD = 1.0
"""Seconds until all know."""
TIMES = 8
"""Requests, each over a connection of its own, so that both workers are asked."""


@asynccontextmanager
async def pair(
    folder: Path, server: RedisServer, provider: dict[str, Any], **sections: Any
) -> AsyncIterator[tuple[Working, Working]]:
    """Two gateways with one configuration."""
    folders = [folder / "a", folder / "b"]
    redis = {"type": "redis", "addr": server.address}
    configs = []
    for folder in folders:
        folder.mkdir()
        storage = {"config": redis, "runtime": {**redis}, "journal": "journal"}
        configs.append(settings(llm_providers=[provider], storage=storage, **sections))
    async with working(folders[0], configs[0]) as one, working(folders[1], configs[1]) as other:
        yield one, other


async def admin(gateway: Working, method: str, path: str, body: Any = None) -> Any:
    """What the admin API answers."""
    url = f"{gateway.daemon.url}/admin/v1/{path}"
    async with gateway.session.request(method, url, json=body, headers=ADMIN) as response:
        assert response.status < 300, await response.text()
        return await response.json() if response.status != 204 else None


async def statuses(gateway: Working, key: str = KEY, model: str = "gpt-4o") -> set[int]:
    """The statuses of some requests in a row."""
    found = set()
    for _ in range(TIMES):
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"authorization": f"Bearer {key}"}
        url = f"{gateway.daemon.url}/v1/chat/completions"
        async with gateway.session.post(url, json=body, headers=headers) as response:
            found.add(response.status)
    return found


async def totals(gateway: Working, expected: int) -> tuple[int, int]:
    """Requests and errors in the ledger, once there are so many."""
    found: dict[str, int] = {}
    for _ in range(100):
        found = await admin(gateway, "GET", "metrics/global")
        if found["queries"] >= expected:
            break
        await asyncio.sleep(0.05)
    return found["queries"], found["errors"]


async def test_one_limit_and_one_ledger(
    own_redis: RedisServer, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    provider = openai(fake_openai.url, limits={"req_per_min": LIMIT})
    async with pair(tmp_path, own_redis, provider) as gateways:
        answers: Counter[int] = Counter()
        for _ in range(5):
            asking = [gateway.asked(model="gpt-4o") for gateway in gateways for _ in range(TIMES)]
            answers.update(await asyncio.gather(*asking))
            await asyncio.sleep(0.1)
        assert set(answers) == {200, 429}
        assert 0.9 * LIMIT <= answers[200] <= LIMIT
        moments = [request.at for request in fake_openai.requests]
        assert len(moments) == answers[200] == most_within(moments, 60)
        for gateway in gateways:
            assert await totals(gateway, answers.total()) == (answers.total(), answers[429])


@pytest.mark.parametrize("fault", ["a rejected key", "an open circuit"])
async def test_what_one_cannot_use_nobody_tries(
    own_redis: RedisServer, fake_openai: FakeOpenAI, tmp_path: Path, fault: str
) -> None:
    policy = {
        "retry": {"max_attempts": 1, "interval": 0},
        "circuit_breaker": {"min_requests": 2, "cooldown": "1m"},
    }
    if fault == "a rejected key":
        fake_openai.keys.clear()
    else:
        fake_openai.script.extend([Fault(500)] * 100)
    async with pair(tmp_path, own_redis, openai(fake_openai.url), policy=policy) as (one, other):
        await statuses(one)
        before = len(fake_openai.requests)
        assert 0 < before < TIMES
        await asyncio.sleep(HEARD)
        for gateway in (one, other):
            assert max(await statuses(gateway)) >= 500
        assert len(fake_openai.requests) == before


async def test_clients_and_settings_made_at_one_hold_at_the_other(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    echo = {"id": "echo", "type": "echo", "model": "m"}
    async with pair(tmp_path, own_redis, echo) as (one, other):
        made = await admin(one, "POST", "clients", {"id": "two"})
        await asyncio.sleep(HEARD)
        for gateway in (one, other):
            assert await statuses(gateway, made["key"], "m") == {200}
        await admin(other, "DELETE", "clients/two")
        await admin(one, "POST", "config", {"model_aliases": {"mine": "echo:m"}})
        await asyncio.sleep(HEARD)
        for gateway in (one, other):
            assert await statuses(gateway, made["key"], "m") == {401}
            assert await statuses(gateway, KEY, "mine") == {200}
            assert len(await gateway.versions()) == 1
