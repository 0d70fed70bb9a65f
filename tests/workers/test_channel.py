"""Calls between two processes: both ways at once, of any size, and what happens when one ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.workers.channel import CallFailed, Channel, ChannelClosed


async def shout(topic: str, body: bytes) -> bytes:
    if topic == "fail":
        raise LookupError
    if topic == "wait":
        await asyncio.Event().wait()
    return topic.encode() + body.upper()


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Channel, Channel]]:
    one, two = socket.socketpair()
    ours, theirs = await Channel.over(one, shout), await Channel.over(two, shout)
    yield ours, theirs
    ours.close()
    theirs.close()
    await asyncio.gather(ours.closed.wait(), theirs.closed.wait())


async def test_both_ways_and_any_size() -> None:
    async with pair() as (ours, theirs):
        sizes = (0, 1, 70_000, 3_000_000)
        calls = [end.call("t", b"a" * size) for size in sizes for end in (ours, theirs)]
        answers = await asyncio.gather(*calls)
        assert [len(answer) - 1 for answer in answers] == [size for size in sizes for _ in range(2)]
        assert set(answers[-1][1:]) == set(b"A")


async def test_a_failure_is_the_callers_to_know() -> None:
    async with pair() as (ours, _):
        with pytest.raises(CallFailed, match="LookupError"):
            await ours.call("fail")
        assert await ours.call("still ", b"there") == b"still THERE"


async def test_the_end_of_the_other_ends_every_call() -> None:
    async with pair() as (ours, theirs):
        waiting = asyncio.create_task(ours.call("wait"))
        assert await ours.call("t") == b"t"
        theirs.close()
        with pytest.raises(ChannelClosed):
            await waiting
        await ours.closed.wait()
        with pytest.raises(ChannelClosed):
            await ours.call("t")


async def test_an_answer_nobody_waits_for_any_more_is_dropped() -> None:
    async with pair() as (ours, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await ours.call("t")
        assert await ours.call("t") == b"t"
