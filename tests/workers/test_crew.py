"""Who keeps the workers running is itself stopped, or cannot start one: the others go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.workers import crew
from gateway.workers.crew import Crew
from gateway.workers.member import Member

LOOK, HUNG = 0.05, 0.4


class Process:
    """A worker that does nothing but wait for its end."""

    pid = 0

    def __init__(self) -> None:
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        await self._ended.wait()
        return self.returncode or 0

    def send_signal(self, number: int) -> None:
        self.returncode = -number
        self._ended.set()


class Starts:
    """In place of `Member.start`."""

    def __init__(self) -> None:
        self.started: list[Member] = []
        self.failures = 0
        """So many of the next starts fail."""
        self.more = asyncio.Event()

    async def start(self, number: int, sockets: Sequence[Any], handle: Any) -> Member:
        if self.failures:
            self.failures -= 1
            raise BlockingIOError(11, "Resource temporarily unavailable")
        member = Member(number, cast(asyncio.subprocess.Process, Process()))
        closed = asyncio.Event()
        closed.set()
        member.channel = cast(Any, SimpleNamespace(closed=closed))
        self.started.append(member)
        self.more.set()
        return member

    async def another(self) -> Member:
        """The next one to be started."""
        self.more.clear()
        await self.more.wait()
        return self.started[-1]


async def nothing(member: Member, topic: str, body: bytes) -> bytes:
    return b"null"


@asynccontextmanager
async def keeping(starts: Starts, patch: pytest.MonkeyPatch) -> AsyncIterator[Crew]:
    """A crew of one that serves."""
    patch.setattr(Member, "start", starts.start)
    for name, seconds in (("LOOK", LOOK), ("HUNG", HUNG), ("FIRST_PAUSE", 0.01)):
        patch.setattr(crew, name, seconds)
    one = Crew(1, [], nothing, lambda member: None)
    running = asyncio.create_task(one.run())
    one.joined(await starts.another())
    yield one
    one.stop()
    await running


async def test_after_a_stop_of_its_own_it_hears_before_it_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    """What workers said while it was stopped is still to be read; one that is silent ends all the same."""
    starts = Starts()
    async with keeping(starts, monkeypatch):
        process = starts.started[0].process
        await asyncio.sleep(LOOK)
        asyncio.get_running_loop().call_soon(time.sleep, HUNG + 3 * LOOK)
        await asyncio.sleep(2 * LOOK)
        assert process.returncode is None
        await asyncio.wait_for(starts.another(), 5.0)
        assert process.returncode == -9


async def test_a_start_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more processes, no memory: the workers that there are go on serving."""
    starts = Starts()
    async with keeping(starts, monkeypatch):
        starts.failures = 3
        starts.started[0].process.send_signal(9)
        await asyncio.wait_for(starts.another(), 5.0)
        assert starts.failures == 0


async def test_who_asks_no_more_leaves_nobody_waiting_for_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    starts, asked, given_up = Starts(), asyncio.Event(), asyncio.Event()

    async def call(topic: str, body: bytes) -> bytes:
        asked.set()
        never: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        try:
            return await never
        finally:
            given_up.set()

    async with keeping(starts, monkeypatch) as one:
        cast(Any, starts.started[0].channel).call = call
        asking = asyncio.create_task(one.ask("peer", None, 60.0))
        await asked.wait()
        asking.cancel()
        await asyncio.wait_for(given_up.wait(), 5.0)
