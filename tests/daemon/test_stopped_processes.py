"""A process stands still: requests go on without the supervisor, and limits hold over a worker's return."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

from tests.daemon.children import children
from tests.daemon.running import ADMIN, openai
from tests.daemon.test_limits_keys import most_within
from tests.daemon.test_workers_file import FILES
from tests.daemon.working import lines_of, settings, working
from tests.fakes.openai import FakeOpenAI

LIMIT = 30
PAUSE = 0.05


async def test_workers_go_on_without_their_supervisor(
    fake_openai: FakeOpenAI, tmp_path: Path, long_run: bool
) -> None:
    """By ``storage.on_trouble``: nothing fails, the limit holds, and all of them are there when it goes on.
    With ``--long`` it stands still for longer than a worker may be silent."""
    provider = openai(fake_openai.url, limits={"req_per_min": LIMIT})
    config = settings(storage=FILES, llm_providers=[provider])
    async with working(tmp_path, config) as gateway:
        workers = children(gateway.daemon.pid)
        assert await gateway.asked(model="gpt-4o") == 200
        os.kill(gateway.daemon.pid, signal.SIGSTOP)
        try:
            until = asyncio.get_running_loop().time() + (25.0 if long_run else 2.0)
            statuses = set()
            while asyncio.get_running_loop().time() < until:
                statuses.add(await gateway.asked(model="gpt-4o"))
                await asyncio.sleep(PAUSE)
        finally:
            os.kill(gateway.daemon.pid, signal.SIGCONT)
        assert statuses == {200, 429}
        for _ in range(40):
            assert await gateway.asked(model="gpt-4o") in {200, 429}
            await asyncio.sleep(PAUSE)
        assert most_within([request.at for request in fake_openai.requests], 60) <= LIMIT
        assert children(gateway.daemon.pid) == workers
        assert not lines_of(gateway.daemon, "worker ended")


async def test_metrics_and_keys_are_told_in_time_without_the_supervisor(tmp_path: Path) -> None:
    """By the worker that is asked, for itself; counters, which would seem to have gone back, are left out."""
    async with working(tmp_path) as gateway:
        assert await gateway.asked() == 200
        before = await gateway.samples()
        assert (before.sum("requests_total"), before.sum("scrape_complete")) == (1, 1)
        os.kill(gateway.daemon.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(5.0):
                alone = await gateway.samples(whole=False)
                async with gateway.session.get(
                    f"{gateway.daemon.url}/admin/v1/providers", headers=ADMIN
                ) as response:
                    providers = (await response.json())["providers"]
        finally:
            os.kill(gateway.daemon.pid, signal.SIGCONT)
        assert alone.sum("scrape_complete") == 0
        assert alone.values("key_state", "provider") == {"echo"}
        assert not [sample.name for sample in alone.all if sample.name.endswith(("_total", "_count"))]
        assert [key["state"] for key in providers[0]["keys"]] == ["active"]
        after = await gateway.samples()
        assert (after.sum("requests_total"), after.sum("scrape_complete")) == (1, 1)


async def test_a_worker_that_stood_still_uses_nothing_that_has_expired(
    fake_openai: FakeOpenAI, tmp_path: Path, long_run: bool
) -> None:
    """With ``--long`` it stands still for longer than leases of parallel slots last."""
    provider = openai(fake_openai.url, limits={"req_per_min": LIMIT, "max_parallel": 4})
    config = settings(storage=FILES, llm_providers=[provider])
    async with working(tmp_path, config) as gateway:
        for _ in range(8):
            assert await gateway.asked(model="gpt-4o") == 200
        victim = random.choice(children(gateway.daemon.pid))
        victim.send(signal.SIGSTOP)
        try:
            waiting = [asyncio.create_task(gateway.asked(model="gpt-4o")) for _ in range(60)]
            await asyncio.sleep(15.0 if long_run else 1.0)
        finally:
            victim.send(signal.SIGCONT)
        assert set(await asyncio.gather(*waiting)) <= {200, 429}
        assert most_within([request.at for request in fake_openai.requests], 60) <= LIMIT
