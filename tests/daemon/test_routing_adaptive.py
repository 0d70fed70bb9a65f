"""adaptive as clients meet it: a daemon of its own process between a slow upstream and a quick one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.daemon.running import HELLO, KEY, configured, openai
from tests.fakes.daemon import Daemon
from tests.fakes.openai import FakeOpenAI


class Slow(FakeOpenAI):
    """Takes half a second for each answer."""

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.5)
        return await super()._handle(request)


async def test_most_requests_go_to_the_quick_upstream(tmp_path: Path) -> None:
    async with Slow() as slow, FakeOpenAI() as quick:
        providers = [openai(slow.url, id="slow"), openai(quick.url, id="quick")]
        config = configured(*providers, policy={"algorithm": "adaptive"})
        async with (
            Daemon({**config, "storage": {"runtime": {"type": "memory"}}}, tmp_path) as daemon,
            aiohttp.ClientSession(headers={"authorization": f"Bearer {KEY}"}) as session,
        ):
            for _ in range(40):
                body = {"model": "gpt-4o", "messages": HELLO}
                async with session.post(f"{daemon.url}/v1/chat/completions", json=body) as answer:
                    assert answer.status == 200, await answer.text()
            assert "not served by this version" not in daemon.stderr
        assert len(quick.requests) >= 30
        assert 1 <= len(slow.requests) <= 10
