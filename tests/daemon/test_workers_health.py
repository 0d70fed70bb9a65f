"""What one of the workers has trouble with, all of them tell in the same words."""

from __future__ import annotations

import asyncio
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.daemon.children import children
from tests.daemon.running import ADMIN
from tests.daemon.working import Working, eventually, lines_of, settings, working

LOST = re.compile(r"(\d+) lines were lost, the last one \d+ s ago: see the log for why\.")
REQUESTS = 20


async def told(running: Working) -> list[Any]:
    """The health that a number of connections are told."""
    answers = []
    for _ in range(8):
        async with running.session.get(f"{running.daemon.url}/admin/v1/health", headers=ADMIN) as response:
            answers.append(await response.json())
    return answers


async def test_a_worker_that_hangs_is_missing(tmp_path: Path) -> None:
    async with working(tmp_path) as running:
        for health in await told(running):
            assert health["status"] == "ok"
            [workers] = [one for one in health["dependencies"] if one["name"] == "workers"]
            assert workers["status"] == "ok"
        _, victim = children(running.daemon.pid)
        victim.send(signal.SIGSTOP)
        try:
            health = await told_by_whom_is_well(running)
        finally:
            victim.send(signal.SIGCONT)
        [workers] = [one for one in health["dependencies"] if one["status"] != "ok"]
        assert workers["name"] == "workers"
        assert workers["message"].startswith("1 of 2 workers does not answer")


async def told_by_whom_is_well(running: Working) -> Any:
    """The health, over the first connection that a worker takes which is not stopped."""
    url, patience = f"{running.daemon.url}/admin/v1/health", aiohttp.ClientTimeout(4.0)
    for _ in range(5):
        with suppress(TimeoutError):
            async with running.session.get(url, headers=ADMIN, timeout=patience) as response:
                return await response.json()
    raise AssertionError("neither worker answers")


async def test_lines_that_workers_have_lost_are_added_up(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "coo-llm.log"
    logging = {"file": {"path": str(path)}, "audit": {"enabled": False}}
    async with working(tmp_path, settings(logging=logging)) as running:
        await asyncio.to_thread(path.rename, path.with_suffix(".old"))
        await asyncio.to_thread(path.mkdir)
        for _ in range(REQUESTS):
            assert await running.asked() == 200
        await eventually(lambda: len(lines_of(running.daemon, "log sink failed; its lines are dropped")) >= 2)
        await asyncio.sleep(0.5)  # the last lines are made, and lost
        lost = (await running.samples()).sum("sink_dropped_total", sink="file")
        assert lost >= REQUESTS
        for health in await told(running):
            assert health["status"] == "degraded"
            sinks = [one for one in health["dependencies"] if one["name"] == "sink file"]
            found = LOST.fullmatch(sinks[0]["message"])
            assert found is not None
            assert int(found[1]) == lost
