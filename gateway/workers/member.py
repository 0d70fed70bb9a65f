"""One worker as its supervisor sees it: started, listened to, waited for."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import Self

import orjson

from gateway import systemd
from gateway.workers.channel import Channel

ENTRY = "gateway.worker"
"""What a worker runs, with the number of the channel's file descriptor as its argument."""

Handle = Callable[["Member", str, bytes], Awaitable[bytes]]
"""Answers what a worker asks: who, topic, body."""


class Member:
    """A running worker process."""

    def __init__(self, number: int, process: asyncio.subprocess.Process) -> None:
        self.number = number
        """Its place among the workers, from 0; whoever replaces it gets the same."""
        self.holder = secrets.token_hex(8)
        """Names it in the store (`Site.holder`)."""
        self.process = process
        self.channel: Channel
        self.began = time.monotonic()
        self.heard = self.began
        """When it last gave a sign of life (monotonic seconds)."""
        self.serving = False
        self.snapshot: bytes | None = None
        """Its metrics, as it last told them."""
        self.refusal: tuple[str, int] | None = None
        """Why it cannot start, and the exit code: trying again would not help."""

    @classmethod
    async def start(cls, number: int, inherited: Sequence[int], handle: Handle) -> Self:
        """Start a worker that inherits these file descriptors."""
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as failing:
            failing.callback(ours.close)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *_search_path(),
                *("-m", ENTRY, str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), *inherited],
                env=systemd.without_manager(os.environ),
            )
            failing.pop_all()
        member = cls(number, process)

        async def answer(topic: str, body: bytes) -> bytes:
            member.heard = time.monotonic()
            return await handle(member, topic, body)

        member.channel = await Channel.over(ours, answer)
        return member

    async def ask(self, topic: str, payload: object = None) -> bytes:
        """Call it with a plain JSON value; raises as `Channel.call`."""
        answer = await self.channel.call(topic, orjson.dumps(payload))
        self.heard = time.monotonic()
        return answer


def _search_path() -> list[str]:
    """Let a worker find the same modules: ``-m`` alone would look in the working directory first."""
    if sys.flags.isolated:
        return ["-I"]
    return [] if sys.path[:1] == [os.getcwd()] else ["-P"]
