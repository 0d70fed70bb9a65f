"""`NastyServer`: a raw HTTP/1.1 server that does exactly what a script says, lies included."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self, cast

import httptools
import orjson

Step = Callable[["Peer"], Awaitable[None]]
"""Something the server does to the client it talks to; see `tests.fakes.steps`."""


@dataclass(slots=True, eq=False)
class RawRequest:
    """A request as it arrived; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    peer: Peer
    at: float = field(default_factory=time.monotonic)
    """Monotonic seconds, when its last byte was there."""

    @property
    def gone(self) -> asyncio.Event:
        """Set when the client has closed the connection."""
        return self.peer.gone

    def json(self) -> Any:
        return orjson.loads(self.body)


class NastyServer:
    """``async with NastyServer() as server:`` serves at ``server.url`` until the block ends.

    Each request plays the next script entry; with the script used up, the entry in ``models`` for the
    body's ``model``; without one, ``default``. An entry is the sequence of steps that answer one request.
    """

    def __init__(self, default: Iterable[Step] = (), *, tls: ssl.SSLContext | None = None) -> None:
        self.default = tuple(default)
        self.models: dict[str, tuple[Step, ...]] = {}
        self.requests: list[RawRequest] = []
        self.accepted = 0
        """Connections ever opened."""
        self.peers: set[Peer] = set()
        self.port = 0
        self._script: deque[tuple[Step, ...]] = deque()
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """Connections open now."""
        return len(self.peers)

    def script(self, *entries: Iterable[Step]) -> None:
        """Add what the next requests get, in order."""
        self._script.extend(tuple(entry) for entry in entries)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Peer(self), "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for peer in list(self.peers):
            await peer.shut()
        await self._server.wait_closed()

    async def arrived(self, count: int) -> list[RawRequest]:
        """Wait until ``count`` requests have come."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return self.requests

    def entry(self, request: RawRequest) -> tuple[Step, ...]:
        """What ``request`` gets."""
        if self._script:
            return self._script.popleft()
        try:
            model = request.json().get("model")
        except (orjson.JSONDecodeError, AttributeError):
            model = None
        return self.models.get(model, self.default)

    async def received(self, request: RawRequest) -> None:
        """Keep ``request`` and wake who waits for it."""
        self.requests.append(request)
        async with self._arrived:
            self._arrived.notify_all()


class Peer(asyncio.Protocol):
    """One connection: reads requests, plays an entry for each in turn."""

    def __init__(self, server: NastyServer) -> None:
        self.gone = asyncio.Event()
        self.transport: asyncio.Transport
        self._server = server
        self._waiting: asyncio.Queue[RawRequest] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None
        self._begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.accepted += 1
        self._server.peers.add(self)
        self._task = asyncio.create_task(self._play())

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        self._writable.set()
        self._server.peers.discard(self)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def send(self, data: bytes) -> None:
        """Write ``data`` and let the loop turn, so that it is a read of its own at the other end."""
        self.transport.write(data)
        await self._writable.wait()
        await asyncio.sleep(0)

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        sock: socket.socket = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def shut(self) -> None:
        """Drop the connection and end what still plays on it."""
        self.transport.abort()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _play(self) -> None:
        while not self.transport.is_closing():
            request = await self._waiting.get()
            entry = self._server.entry(request)
            await self._server.received(request)
            for step in entry:
                await step(self)

    def _begin(self) -> None:
        self._parser: Any = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        request = RawRequest(method, self._target.decode("latin-1"), self._headers, bytes(self._body), self)
        self._target, self._headers, self._body = b"", {}, bytearray()
        self._waiting.put_nowait(request)
