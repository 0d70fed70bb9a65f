"""The client's side of a stream: head, events, signs of life while the upstream is silent, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import HttpVersion10, HttpVersion11, web

from gateway.content import Content
from gateway.server import Connection, Direct


class Relay:
    """Writes straight to the client's transport; nothing here waits.

    The head goes out with the first write. ``make_head`` is asked for it then, so that it describes the
    attempt of that moment.
    """

    __slots__ = (
        "_blocked",
        "_chunked",
        "_connection",
        "_filler",
        "_keepalive",
        "_last_write",
        "_loop",
        "_make_head",
        "_on_blocked",
        "_timer",
        "started",
    )

    def __init__(
        self, request: web.Request, make_head: Callable[[], bytes], filler: bytes, keepalive: float
    ) -> None:
        """``filler``: events that say nothing, sent after ``keepalive`` seconds of silence; 0 for never."""
        connection = request.protocol
        assert isinstance(connection, Connection)
        self._connection = connection
        self._make_head = make_head
        self._chunked = request.version != HttpVersion10
        self._loop = asyncio.get_running_loop()
        self._filler = filler
        self._keepalive = keepalive
        self._last_write = self._loop.time()
        self._blocked = False
        self._on_blocked: Callable[[bool], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.started = False
        connection.on_writable = self._writable
        if keepalive:
            self._timer = self._loop.call_at(self._last_write + keepalive, self._tick)

    def attach(self, on_blocked: Callable[[bool], None] | None) -> None:
        """Tell ``on_blocked`` when the client's buffer is full (True) and when it is read again (False)."""
        self._on_blocked = on_blocked

    def write(self, data: bytes) -> None:
        """Send whole events."""
        self._send(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self, data: bytes) -> None:
        """Send the last events; nothing can be written after them."""
        if not self._chunked:
            self._send(data)
        else:
            self._send((b"%x\r\n%b\r\n" % (len(data), data) if data else b"") + b"0\r\n\r\n")
        self.close()

    def close(self) -> None:
        """Let go of the connection and the timer."""
        self._connection.on_writable = None
        self._connection.on_eof = None
        self._on_blocked = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def behind(self) -> int:
        """Bytes that the client has not taken yet."""
        transport = self._connection.transport
        return 0 if transport is None else transport.get_write_buffer_size()

    def drop(self) -> None:
        """Disconnect the client; an orderly close would wait for it to read."""
        if self._connection.transport is not None:
            self._connection.transport.abort()

    def _send(self, framed: bytes) -> None:
        transport = self._connection.transport
        if transport is None:
            return
        if not self.started:
            self.started = self._connection.begun = True
            self._connection.on_eof = self._probe
            framed = self._make_head() + framed
        self._connection.written += len(framed)
        transport.write(framed)
        self._last_write = self._loop.time()
        if self._blocked or not self._connection.writing_paused:
            return
        self._blocked = True
        if self._on_blocked is not None:
            self._on_blocked(True)

    def _writable(self) -> None:
        self._blocked = False
        if self._on_blocked is not None:
            self._on_blocked(False)

    def _probe(self) -> None:
        """The client closed its sending side: if it is gone, writing to it brings a reset."""
        self.write(self._filler)

    def _tick(self) -> None:
        now = self._loop.time()
        if now - self._last_write >= self._keepalive and not self._blocked:
            self.write(self._filler)
        due = self._last_write + self._keepalive
        self._timer = self._loop.call_at(due if due > now else now + self._keepalive, self._tick)


class ByteRelay(Relay):
    """Of an answer that is no stream of events, so that nothing of ours may be in it. To be made with a
    keepalive of 0."""

    __slots__ = ()

    def _probe(self) -> None:
        """As in events, with a part of the framing: any number of zeros may precede a chunk's size."""
        if self._chunked:
            self._send(b"0")


class RecordedRelay(Relay):
    """Hands the answer it writes to the log as well; its own signs of life are none of it."""

    __slots__ = ("_content",)

    def __init__(
        self,
        content: Content,
        request: web.Request,
        make_head: Callable[[], bytes],
        filler: bytes,
        keepalive: float,
    ) -> None:
        super().__init__(request, make_head, filler, keepalive)
        self._content = content

    def write(self, data: bytes) -> None:
        if data is not self._filler:
            self._content.streamed(data)
        super().write(data)


def sent(request: web.Request) -> Direct:
    """The response to a request whose stream has gone out, to its end."""
    return Direct(200, b"", close=request.version < HttpVersion11)
