"""Several workers on the file store: one window for all of them, and one lock."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.daemon.running import KEY
from tests.daemon.working import settings, working
from tests.fakes.daemon import Daemon

FILES = {
    "config": {"type": "file", "path": "data/config.json"},
    "runtime": {"type": "file", "path": "data/coo-llm.db"},
    "journal": "data/journal",
}


async def test_a_limit_is_one_for_all_workers(tmp_path: Path) -> None:
    limited = {"id": "one", "key": KEY, "limits": {"req_per_min": 10}}
    config = settings(storage=FILES, api_keys=[limited])
    async with working(tmp_path, config) as running:
        statuses = Counter(await asyncio.gather(*[running.asked() for _ in range(40)]))
        for _ in range(20):
            statuses[await running.asked()] += 1
        assert set(statuses) == {200, 429}
        assert 5 < statuses[200] <= 10  # some quota may be with the worker that nobody asks just now


async def test_a_second_daemon_on_the_same_files_exits_4(tmp_path: Path) -> None:
    config = settings(storage=FILES)
    async with working(tmp_path, config) as running:
        second = tmp_path / "second"
        second.mkdir()
        (second / "data").symlink_to(tmp_path / "data")
        with pytest.raises(RuntimeError, match=r"^exit 4 at start"):
            async with Daemon(config, second):
                pass
        assert await running.asked() == 200
