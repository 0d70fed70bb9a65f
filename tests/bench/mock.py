"""The mock upstream of streams, a raw protocol on uvloop: ``python -m tests.bench.mock PORT``.

The request's model says how it streams: ``mock-paced`` 20 events a second until the client goes,
``mock-burst`` 100 events at once, ``mock-short`` a word and the end, ``mock-idle`` one event and silence.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import cast

import orjson
import uvloop

EVENT_BYTES = 300
EVENTS_PER_SECOND = 20
BURST = 100
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_MODEL = re.compile(rb'"model": *"(mock-\w+)"')


def _event(choices: list[object], **extra: object) -> bytes:
    head = {"id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion.chunk"}
    body = {**head, "created": 1_790_000_000, "model": "mock", "choices": choices, **extra}
    return b"data: " + orjson.dumps(body) + b"\n\n"


def _words(text: str, finish: str | None = None) -> bytes:
    delta = {"role": "assistant", "content": text} if text else {}
    return _event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}])


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_EVENT = _words("x" * (EVENT_BYTES - len(_words("x")) + 1))
_USAGE = {"prompt_tokens": 220, "completion_tokens": 30, "total_tokens": 250}
_END = _chunk(_words("", "stop") + _event([], usage=_USAGE) + b"data: [DONE]\n\n") + b"0\r\n\r\n"
_ONE = _chunk(_EVENT)
_QUARTER = _ONE * (BURST // 4)
DATA_LINES = {"mock-burst": BURST + 3, "mock-short": 4}
"""``data:`` lines of the streams that end."""


class Upstream(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._buffer, 0, end)
        if length is None or len(self._buffer) < end + 4 + int(length[1]):
            return
        model = _MODEL.search(self._buffer, end)
        self._buffer = b""
        self._answer(model[1] if model else b"")

    def _answer(self, model: bytes) -> None:
        write = self._transport.write
        write(_HEAD + _ONE if model != b"mock-burst" else _HEAD + _QUARTER)
        if model == b"mock-paced":
            self._timer = self._loop.call_later(1 / EVENTS_PER_SECOND, self._tick)
        elif model == b"mock-burst":
            for _ in range(3):
                write(_QUARTER)
            write(_END)
        elif model == b"mock-short":
            write(_END)

    def _tick(self) -> None:
        self._transport.write(_ONE)
        self._timer = self._loop.call_later(1 / EVENTS_PER_SECOND, self._tick)


async def serve(port: int) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(loop), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
