"""A stream's client that is slow: served on while it reads, and let go of when it does not."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
from aiohttp import web

from gateway import server
from gateway.request.relay import Relay, sent
from gateway.runner import Runner
from gateway.server import Server

STALL = 0.4
FLOOD = b"x" * 400_000
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
Stream = Callable[[Relay], Awaitable[None]]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STALL", STALL)


@asynccontextmanager
async def relaying(stream: Stream) -> AsyncIterator[Server]:
    """A server that relays ``stream``; next to nothing is on its way that the client has not read."""

    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        if (peer := request.transport.get_extra_info("socket")) is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        relay = Relay(request, lambda: head, b": \n\n", 0)
        try:
            await stream(relay)
        finally:
            relay.close()
        return sent(request)

    app = web.Application()
    app.router.add_get("/", handle)
    runner = Runner(app, 1.0)
    await runner.setup()
    assert isinstance(runner.server, Server)
    yield runner.server
    await runner.cleanup()


@asynccontextmanager
async def connected(stream: Stream, tls: ssl.SSLContext | None = None) -> AsyncIterator[socket.socket]:
    """The socket of a client that has asked for nothing yet."""
    loop = asyncio.get_running_loop()
    async with relaying(stream) as made:
        listening = await loop.create_server(made, "127.0.0.1", 0, ssl=tls)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await loop.sock_connect(client, listening.sockets[0].getsockname())
            yield client
        listening.close()


@asynccontextmanager
async def reading(stream: Stream) -> AsyncIterator[socket.socket]:
    """A client of what ``stream`` relays."""
    async with connected(stream) as client:
        await asyncio.get_running_loop().sock_sendall(client, GET)
        yield client


@asynccontextmanager
async def reading_by_tls(stream: Stream) -> AsyncIterator[asyncio.StreamReader]:
    """One that speaks TLS."""
    authority = trustme.CA()
    offered, trusting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(offered)
    authority.configure_trust(trusting)
    async with connected(stream, offered) as client:
        reader, writer = await asyncio.open_connection(
            sock=client, ssl=trusting, server_hostname="localhost", limit=1024
        )
        writer.write(GET)
        yield reader
        writer.transport.abort()


async def test_a_client_that_reads_slowly_is_served_on() -> None:
    async def flood(relay: Relay) -> None:
        relay.write(FLOOD)
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    async with reading(flood) as client:
        until = loop.time() + 4 * STALL
        while loop.time() < until:
            assert await asyncio.wait_for(loop.sock_recv(client, 2000), STALL)
            await asyncio.sleep(STALL / 20)


async def test_a_client_that_reads_nothing_is_dropped_although_more_is_written() -> None:
    dropped = asyncio.Event()

    async def flood(relay: Relay) -> None:
        try:
            relay.write(FLOOD)
            while True:
                await asyncio.sleep(STALL / 10)
                relay.write(b"more")
        finally:
            dropped.set()

    async with reading(flood):
        await asyncio.wait_for(dropped.wait(), 4 * STALL)


async def test_by_tls_a_client_that_reads_is_served_on() -> None:
    async def flood(relay: Relay) -> None:
        for _ in range(20):
            relay.write(FLOOD)
        while True:
            await asyncio.sleep(STALL / 10)
            relay.write(b"more")

    loop = asyncio.get_running_loop()
    async with reading_by_tls(flood) as client:
        until = loop.time() + 4 * STALL
        while loop.time() < until:
            assert await asyncio.wait_for(client.read(20_000), STALL)
            await asyncio.sleep(STALL / 40)


async def test_by_tls_a_client_that_reads_nothing_is_dropped_although_more_is_written() -> None:
    """More goes into the buffer then than is written: each record has a frame of its own."""
    dropped = asyncio.Event()

    async def flood(relay: Relay) -> None:
        try:
            for _ in range(5):
                relay.write(FLOOD)
            while True:
                await asyncio.sleep(STALL / 10)
                relay.write(b"more")
        finally:
            dropped.set()

    async with reading_by_tls(flood):
        await asyncio.wait_for(dropped.wait(), 4 * STALL)


class Buffer(asyncio.Transport):
    """Of a client that reads as much as it is told to."""

    def __init__(self, connection: server.Connection) -> None:
        super().__init__()
        self.dropped = False
        self._connection = connection
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._size += len(data)
        if self._size > 65536 and not self._connection.writing_paused:
            self._connection.pause_writing()

    def take(self, size: int) -> None:
        self._size -= size
        if self._size < 16384 and self._connection.writing_paused:
            self._connection.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self._size

    def is_closing(self) -> bool:
        return self.dropped

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self.dropped:
            self.dropped = True
            self._connection.connection_lost(None)


async def test_a_client_that_fell_behind_twice_and_reads_is_served_on() -> None:
    """Whatever it had read, and had yet to read, when it was looked at for the first time."""
    relays: asyncio.Queue[Relay] = asyncio.Queue()

    async def stream(relay: Relay) -> None:
        relays.put_nowait(relay)
        await asyncio.Event().wait()

    async with relaying(stream) as made:
        connection = made()
        assert isinstance(connection, server.Connection)
        buffer = Buffer(connection)
        connection.connection_made(buffer)
        connection.data_received(GET)
        relay = await asyncio.wait_for(relays.get(), 5)
        relay.write(FLOOD)
        buffer.take(buffer.get_write_buffer_size())
        relay.write(FLOOD)
        second = buffer.get_write_buffer_size()
        relay.write(FLOOD)
        buffer.take(second)
        await asyncio.sleep(1.5 * STALL)
        assert not buffer.dropped
        await asyncio.sleep(STALL)
        assert buffer.dropped
