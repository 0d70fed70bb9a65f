"""What one of the workers has trouble with, all of them tell in the same words."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.daemon.working import WORKERS, Working, eventually, lines_of, settings, stopped, working

LOST = re.compile(r"(\d+) lines were lost, the last one \d+ s ago: see the log for why\.")
REQUESTS = 10
"""Of each worker."""


async def told(running: Working) -> list[Any]:
    """The health that a number of connections are told."""
    return [await running.health() for _ in range(8)]


async def test_a_worker_that_hangs_is_missing(tmp_path: Path) -> None:
    async with working(tmp_path) as running:
        for health in await told(running):
            assert health["status"] == "ok"
            [workers] = [one for one in health["dependencies"] if one["name"] == "workers"]
            assert workers["status"] == "ok"
        async with stopped(running.pids[1]):
            health = await running.health()
        [workers] = [one for one in health["dependencies"] if one["status"] != "ok"]
        assert workers["name"] == "workers"
        assert workers["message"].startswith("1 of 2 workers does not answer")


def put_folder_at(path: Path) -> None:
    """In place of the file, which whoever writes a line makes anew."""
    while not path.is_dir():
        path.rename(path.with_suffix(".old"))
        with suppress(FileExistsError):
            path.mkdir()


async def test_lines_that_workers_have_lost_are_added_up(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "coo-llm.log"
    logging = {"file": {"path": str(path)}, "audit": {"enabled": False}}
    async with working(tmp_path, settings(logging=logging)) as running:
        await asyncio.to_thread(put_folder_at, path)
        for pid in running.pids:
            async with running.alone(pid):
                for _ in range(REQUESTS):
                    assert await running.asked() == 200
        await eventually(
            lambda: len(lines_of(running.daemon, "log sink failed; its lines are dropped")) >= WORKERS
        )
        async with asyncio.timeout(15):
            lost = 0.0
            while lost < WORKERS * REQUESTS:  # the last lines are made, and lost
                lost = (await running.samples()).sum("sink_dropped_total", sink="file")
        for health in await told(running):
            assert health["status"] == "degraded"
            sinks = [one for one in health["dependencies"] if one["name"] == "sink file"]
            found = LOST.fullmatch(sinks[0]["message"])
            assert found is not None
            assert int(found[1]) == lost
