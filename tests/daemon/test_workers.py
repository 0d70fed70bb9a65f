"""Several workers: both serve, one crashes, all drain, none outlives its parent."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.daemon.running import events_of
from tests.daemon.working import (
    SETTINGS,
    WORKERS,
    Working,
    alive,
    eventually,
    lines_of,
    settings,
    stopped,
    working,
)
from tests.fakes.daemon import Daemon

SLOW = {"llm_providers": [{"id": "echo", "type": "echo", "model": "m", "first_token_ms": 3000}]}


async def stream(running: Working) -> list[Any]:
    """The events of a streamed chat, as far as they came."""
    body = b""
    try:
        async with running.chat(stream=True) as response:
            async for chunk in response.content.iter_any():
                body += chunk
    except aiohttp.ClientError:
        pass
    return events_of(body)


async def test_chats_and_streams_on_all_workers(tmp_path: Path) -> None:
    async with working(tmp_path) as running:
        assert len(running.pids) == WORKERS
        assert {await running.asked() for _ in range(5)} == {200}
        assert (await stream(running))[-1] == "[DONE]"
        assert (await running.samples()).sum("requests_total", status="200") == 6


async def test_one_crashes_under_load(tmp_path: Path) -> None:
    async with working(tmp_path, settings(**SLOW)) as running:
        first, second = running.pids
        async with stopped(second):
            lost = await begun(running, 5, in_all=5)
        async with stopped(first):
            kept = await begun(running, 5, in_all=10)
            os.kill(first, signal.SIGKILL)  # before it goes on: an answer may be due
        assert {await running.asked() for _ in range(2)} == {200}  # nobody is refused meanwhile
        await eventually(lambda: len(lines_of(running.daemon, "worker started")) == WORKERS + 1)
        assert [events[-1] for events in await asyncio.gather(*kept)] == ["[DONE]"] * 5
        assert await asyncio.gather(*lost) == [[]] * 5
        await eventually(lambda: len(running.pids) == WORKERS)
        assert second in running.pids


async def begun(running: Working, count: int, *, in_all: int) -> list[asyncio.Task[list[Any]]]:
    """Streams that have begun: so many are in flight with those before."""
    streams = [asyncio.create_task(stream(running)) for _ in range(count)]
    await eventually_served(running, in_all)
    return streams


async def eventually_served(running: Working, count: int) -> None:
    """Wait until so many requests are in flight."""
    async with asyncio.timeout(15):
        in_flight = 0.0
        while in_flight < count:
            in_flight = (await running.samples()).sum("in_flight_requests")


async def test_counters_go_on_after_a_crash(tmp_path: Path) -> None:
    async with working(tmp_path) as running:
        for _ in range(6):
            await running.asked()
        assert (await running.samples()).sum("requests_total") == 6
        cpu = (await running.samples()).process("process_cpu_seconds_total")
        for pid in running.pids:
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: len(lines_of(running.daemon, "worker ended")) == WORKERS)
        assert await running.asked() == 200
        samples = await running.samples()
        assert samples.sum("requests_total") == 7
        assert samples.sum("request_duration_seconds_count") == 7
        assert samples.process("process_cpu_seconds_total") >= cpu


async def test_a_stopped_worker_counts_with_what_it_told_last(tmp_path: Path) -> None:
    async with working(tmp_path) as running:
        for _ in range(4):
            await running.asked()
        assert (await running.samples()).sum("requests_total") == 4
        async with stopped(running.pids[0]):
            samples = await running.samples()
        assert samples.sum("requests_total") == 4


async def test_sigterm_lets_streams_end(tmp_path: Path) -> None:
    async with working(tmp_path, settings(**SLOW)) as running:
        streams = [asyncio.create_task(stream(running)) for _ in range(6)]
        await eventually_served(running, 6)
        pids = running.pids
        await running.daemon.stop()
        assert [events[-1] for events in await asyncio.gather(*streams)] == ["[DONE]"] * 6
        assert not any(map(alive, pids))


async def test_a_second_sigterm_hurries(tmp_path: Path) -> None:
    config = settings(
        llm_providers=[{"id": "echo", "type": "echo", "model": "m", "first_token_ms": 60000}],
        server={"drain_timeout": "60s"},
    )
    async with working(tmp_path, config) as running:
        asked = asyncio.create_task(running.answered(stream=True))
        await eventually_served(running, 1)
        running.daemon.signal(signal.SIGTERM)
        await eventually(lambda: bool(lines_of(running.daemon, "draining")))
        await running.daemon.stop()  # waits for less than draining would take
        status, answer = await asked
        assert (status, answer["error"]["code"]) == (503, "draining")


async def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    async with working(tmp_path) as running:
        pids = running.pids
        await running.daemon.kill()
        await eventually(lambda: not any(map(alive, pids)))


async def test_a_worker_that_stands_still_ends_with_its_parent(tmp_path: Path) -> None:
    async with working(tmp_path) as running:
        pids = running.pids
        os.kill(pids[0], signal.SIGSTOP)
        await running.daemon.kill()
        await eventually(lambda: not any(map(alive, pids)))


async def test_a_worker_that_was_replaced_says_how_long_the_gateway_is_up(tmp_path: Path) -> None:
    async with working(tmp_path) as running:
        before = (await running.health())["uptime_seconds"]
        for pid in running.pids:
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda: len(running.pids) == WORKERS and pid not in running.pids)  # noqa: B023
            assert (await running.health())["uptime_seconds"] > before


async def test_it_gives_up_where_no_worker_can_start(tmp_path: Path) -> None:
    config = settings(server={"tls": {"cert_file": "none.pem", "key_file": "none.pem"}})
    with pytest.raises(RuntimeError, match=r"exit 1 at start(.|\n)*cannot read none.pem"):
        async with working(tmp_path, config):
            pass


async def test_memory_is_for_one_process(tmp_path: Path) -> None:
    storage = {"config": {"type": "memory"}, "runtime": {"type": "memory"}}
    with pytest.raises(RuntimeError, match="memory is for one process"):
        async with Daemon({**SETTINGS, "storage": storage}, tmp_path):
            pass
