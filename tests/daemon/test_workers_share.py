"""Connections that come all at once, and workers that stand still: who gets how many."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.daemon.working import Working, stopped, working

PING = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


@asynccontextmanager
async def connections(running: Working, count: int) -> AsyncIterator[None]:
    """So many at once, each with an answer."""
    opened = await asyncio.gather(
        *(asyncio.open_connection("127.0.0.1", running.daemon.port) for _ in range(count))
    )
    for _, writer in opened:
        writer.write(PING)
    async with asyncio.timeout(15):
        for reader, _ in opened:
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    yield
    for _, writer in opened:
        writer.close()


def sockets_of(pid: int) -> int:
    """How many sockets a process has open."""
    return sum(os.readlink(path).startswith("socket:") for path in Path(f"/proc/{pid}/fd").iterdir())


BURSTS = 10
"""One of so many finds both workers at leisure: who stands still for a moment takes none."""


async def test_a_burst_of_connections_is_shared(tmp_path: Path) -> None:
    async with working(tmp_path) as running:
        one, other = running.pids
        for _ in range(BURSTS):
            async with connections(running, 60):
                before = sockets_of(one), sockets_of(other)
                async with connections(running, 100):
                    shares = sockets_of(one) - before[0], sockets_of(other) - before[1]
            assert sum(shares) == 100
            if min(shares) > 10:
                return
        raise AssertionError("one worker takes nearly all")


async def test_a_stopped_worker_keeps_no_connection_waiting(tmp_path: Path) -> None:
    async with working(tmp_path) as running, stopped(running.pids[0]), connections(running, 60):
        pass
