"""A Redis that stands still is no client's trouble: nobody waits for it, nothing fails, nothing is lost."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.daemon.running import ADMIN, ADMIN_KEY, HELLO, KEY, configured
from tests.fakes.daemon import Daemon
from tests.fakes.redis_server import RedisServer

RATE = 100
CALM, STOPPED, AFTER = 2.0, 4.0, 6.0
"""Seconds before Redis stands still, while it does, and after."""
MOST_ADDED_MS = 20.0


@pytest.mark.timeout(120)
async def test_a_stopped_redis_under_load(own_redis: RedisServer, tmp_path: Path, long_run: bool) -> None:
    """With ``--long`` also: what the slowest hundredth waits longer meanwhile."""
    provider = {
        "id": "up",
        "type": "echo",
        "model": "m",
        "pricing": {"input_token_cost": 0.001, "output_token_cost": 0.002},
        "limits": {"req_per_min": 1_000_000},
    }
    config = configured(
        provider,
        server={"admin_api_key": ADMIN_KEY},
        storage={"runtime": {"type": "redis", "addr": own_redis.address}, "config": {"type": "memory"}},
        logging={"file": {"enabled": False}},
    )
    async with Daemon(config, tmp_path) as daemon, aiohttp.ClientSession() as session:
        answers: list[tuple[float, int, float, int]] = []
        began = time.monotonic()
        asking = asyncio.create_task(_ask(session, daemon.url, began, answers))
        await asyncio.sleep(CALM)
        own_redis.pause()
        try:
            await asyncio.sleep(STOPPED)
        finally:
            own_redis.resume()
        await asking
        assert {status for _, status, _, _ in answers} == {200}
        requests, nano = await _totals(session, daemon.url, len(answers))
        assert (requests, nano) == (len(answers), sum(cost for _, _, _, cost in answers))
    if long_run:
        calm = _slowest([ms for at, _, ms, _ in answers if 0.5 < at < CALM])
        during = _slowest([ms for at, _, ms, _ in answers if CALM <= at < CALM + STOPPED])
        assert during - calm < MOST_ADDED_MS


async def _ask(
    session: aiohttp.ClientSession, url: str, began: float, answers: list[tuple[float, int, float, int]]
) -> None:
    """Send at a fixed rate: when, status, milliseconds and nano-dollars of each answer."""

    async def one() -> None:
        at = time.monotonic()
        body = {"model": "m", "messages": HELLO}
        headers = {"authorization": f"Bearer {KEY}"}
        async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as response:
            await response.read()
            cost = round(float(response.headers.get("x-coo-cost", "0")) * 1e9)
            answers.append((at - began, response.status, (time.monotonic() - at) * 1000, cost))

    async with asyncio.TaskGroup() as group:
        for number in range(int((CALM + STOPPED + AFTER) * RATE)):
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
            group.create_task(one())


async def _totals(session: aiohttp.ClientSession, url: str, expected: int) -> tuple[int, int]:
    """Requests and nano-dollars in the store, once they are all there."""
    found: dict[str, Any] = {}
    for _ in range(200):
        async with session.get(f"{url}/admin/v1/metrics/global", headers=ADMIN) as response:
            found = orjson.loads(await response.read())
        if found["queries"] >= expected:
            break
        await asyncio.sleep(0.05)
    return found["queries"], found["cost_nano_usd"]


def _slowest(values: list[float]) -> float:
    """The 99th percentile."""
    return sorted(values)[int(len(values) * 0.99)]
