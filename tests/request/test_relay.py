"""A stream's client that is slow: served on while it reads, and let go of when it does not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway import server
from gateway.request.relay import Relay, sent
from gateway.runner import Runner

STALL = 0.4
FLOOD = b"x" * 400_000
Stream = Callable[[Relay], Awaitable[None]]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STALL", STALL)


@asynccontextmanager
async def reading(stream: Stream) -> AsyncIterator[socket.socket]:
    """A client of what ``stream`` relays; next to nothing is on its way that it has not read."""

    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peer = request.transport.get_extra_info("socket")
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
    loop = asyncio.get_running_loop()
    assert runner.server is not None
    listening = await loop.create_server(runner.server, "127.0.0.1", 0)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, listening.sockets[0].getsockname())
        await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        yield client
    listening.close()
    await runner.cleanup()


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
