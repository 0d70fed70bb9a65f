"""The limits of a key hold over all processes, though one of them is stopped and continued at random."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.daemon.children import children
from tests.daemon.running import HELLO, KEY, configured, openai
from tests.daemon.test_limits_keys import most_within
from tests.fakes.daemon import Daemon
from tests.fakes.openai import FakeOpenAI

LIMIT = 60
PROCESSES = 4
CONNECTIONS = 24
QUICK, LONG = 8.0, 190.0
"""Seconds from when it serves; in the long run a fourth window begins, each a second late at most and found
free some tenths later."""


@pytest.fixture(params=["file", "redis"])
def storage(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The storage section of each kind of store that processes can share."""
    if request.param == "file":
        return {}
    return {"runtime": {"type": "redis", "addr": request.getfixturevalue("own_redis").address}}


@pytest.mark.timeout(300)
async def test_four_processes_hammer_one_key(
    fake_openai: FakeOpenAI, tmp_path: Path, storage: dict[str, Any], long_run: bool
) -> None:
    """The upstream counts. Offered is many times the limit, from the first second on."""
    provider = openai(fake_openai.url, limits={"req_per_min": LIMIT})
    config = configured(
        provider, server={"workers": PROCESSES}, storage=storage, logging={"file": {"enabled": False}}
    )
    async with Daemon(config, tmp_path) as daemon:
        until = time.monotonic() + (LONG if long_run else QUICK)
        stopping = asyncio.create_task(_stop_and_continue(daemon.pid, until))
        statuses = [
            status
            for found in await asyncio.gather(*(_hammer(daemon.url, until) for _ in range(CONNECTIONS)))
            for status in found
        ]
        await stopping
    moments = [request.at for request in fake_openai.requests]
    assert most_within(moments, 60) <= LIMIT
    assert set(statuses) <= {200, 429}
    assert statuses.count(200) == len(moments)
    windows = 1 + int((LONG if long_run else QUICK) // 61)
    assert len(moments) >= 0.9 * LIMIT * windows, "the limit is hardly used"


async def _hammer(url: str, until: float) -> list[int]:
    """Ask on connections of its own, one after the other, so that every process gets its part."""
    statuses = []
    body = {"model": "gpt-4o", "messages": HELLO}
    headers = {"authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        while time.monotonic() < until:
            async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as response:
                statuses.append(response.status)
                await response.read()
            await asyncio.sleep(random.uniform(0.0, 0.2))
    return statuses


async def _stop_and_continue(parent: int, until: float) -> None:
    """Stop one worker after the other for half a second."""
    while time.monotonic() < until - 1.5:
        victim = random.choice(children(parent))
        victim.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(random.uniform(0.1, 0.7))
        finally:
            victim.send(signal.SIGCONT)
        await asyncio.sleep(random.uniform(0.1, 0.5))
