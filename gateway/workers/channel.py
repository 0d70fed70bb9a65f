"""Calls in both directions between a supervisor and a worker, over a pair of connected Unix sockets.

A frame is its length and a call's number (32 bits each, big-endian), what it is (8 bits), the length of the
topic (8 bits), the topic, the body.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Self, cast

log = logging.getLogger(__name__)

Answer = Callable[[str, bytes], Awaitable[bytes]]
"""Answers a call: its topic and body."""

_HEAD = struct.Struct(">IIBB")
_CALL, _ANSWER, _FAILURE = range(3)


class ChannelClosed(ConnectionError):
    """The other process has ended."""


class CallFailed(Exception):
    """The other process could not answer; the message is of its making."""


class Channel(asyncio.Protocol):
    """One end. Calls may be under way in any number; each is answered in a task of its own."""

    def __init__(self, answer: Answer) -> None:
        self.closed = asyncio.Event()
        """Set when the other process has ended, or the channel was closed."""
        self._answer = answer
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._answering: set[asyncio.Task[None]] = set()

    @classmethod
    async def over(cls, sock: socket.socket, answer: Answer) -> Self:
        """Take over a connected socket."""
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_unix_connection(lambda: cls(answer), sock=sock)
        return channel

    async def call(self, topic: str, body: bytes = b"") -> bytes:
        """The answer. Raises `ChannelClosed` or `CallFailed`; waits for as long as it takes."""
        number = next(self._numbers) % 2**32
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._send(_CALL, number, topic, body)
            return await answer
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.closed.set()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ChannelClosed("the other process has ended"))

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        while len(received) >= _HEAD.size:
            length, number, kind, topic_length = _HEAD.unpack_from(received)
            if len(received) < length:
                return
            topic = received[_HEAD.size : _HEAD.size + topic_length].decode()
            body = bytes(received[_HEAD.size + topic_length : length])
            del received[:length]
            self._take(kind, number, topic, body)

    def _take(self, kind: int, number: int, topic: str, body: bytes) -> None:
        if kind == _CALL:
            task = asyncio.get_running_loop().create_task(self._reply(number, topic, body))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif (answer := self._waiting.get(number)) is not None and not answer.done():
            if kind == _ANSWER:
                answer.set_result(body)
            else:
                answer.set_exception(CallFailed(body.decode()))

    async def _reply(self, number: int, topic: str, body: bytes) -> None:
        kind = _ANSWER
        try:
            found = await self._answer(topic, body)
        except Exception as exc:
            log.exception("a call from another process failed", extra={"topic": topic})
            kind, found = _FAILURE, type(exc).__name__.encode()
        if self._transport is not None:
            self._send(kind, number, "", found)

    def _send(self, kind: int, number: int, topic: str, body: bytes) -> None:
        if self._transport is None:
            raise ChannelClosed("the other process has ended")
        name = topic.encode()
        length = _HEAD.size + len(name) + len(body)
        self._transport.write(_HEAD.pack(length, number, kind, len(name)) + name + body)
