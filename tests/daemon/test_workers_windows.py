"""Whichever worker is asked how windows stand, it tells what all have used, and not what they hold."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.running import ADMIN, KEY
from tests.daemon.test_workers_file import FILES
from tests.daemon.working import WORKERS, Working, settings, working

CLIENT = {
    "id": "one",
    "key": KEY,
    "limits": {"req_per_min": 100, "tokens_per_min": 10_000, "max_parallel": 50},
    "budget": {"usd": 5},
}
PROVIDER = {
    "id": "echo",
    "type": "echo",
    "model": "m",
    "pricing": {"input_token_cost": 0.002, "output_token_cost": 0.01},
    "api_keys": [{"id": "k", "key": "echo-key"}],
    "limits": {"req_per_min": 200},
}


@pytest.fixture(params=["file", "redis"])
def storage(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each kind of store that workers can share."""
    if request.param == "file":
        return FILES
    return {**FILES, "runtime": {"type": "redis", "addr": request.getfixturevalue("own_redis").address}}


async def windows(running: Working, path: str) -> Any:
    async with running.session.get(f"{running.daemon.url}/admin/v1/{path}", headers=ADMIN) as response:
        found = await response.json()
    of = found["keys"][0] if "providers" in path else found
    return {kind: one["used"] for kind, one in of["windows"].items()}


async def test_every_worker_tells_the_same_and_the_truth(tmp_path: Path, storage: dict[str, Any]) -> None:
    config = settings(storage=storage, api_keys=[CLIENT], llm_providers=[PROVIDER])
    expected = {"requests": 0, "tokens": 0, "budget": 0, "parallel": 0}
    async with working(tmp_path, config) as running:
        for asked in (1, 2, 5):
            for _ in range(asked):
                async with running.chat() as response:
                    usage = (await response.json())["usage"]
                expected["requests"] += 1
                expected["tokens"] += usage["total_tokens"]
                expected["budget"] += round(usage["cost"] * 1e9)
            for _ in range(3 * WORKERS):
                assert await windows(running, "clients/one") == expected
                assert await windows(running, "providers/echo") == {"requests": expected["requests"]}
            await asyncio.sleep(0.3)  # some of it is reported
    async with working(tmp_path, config) as running:
        assert await windows(running, "clients/one") == expected
