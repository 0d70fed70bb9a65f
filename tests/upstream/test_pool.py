"""Tests of which connections are kept, for how long, and which is used next."""

from __future__ import annotations

import asyncio

import pytest

from gateway.upstream import pool
from gateway.upstream.client import Client
from gateway.upstream.collect import collect
from tests.upstream.conftest import Serve, running
from tests.upstream.peers import OK, Notes, Peer, Server, answering


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("gateway.upstream.pool.time", clock)
    monkeypatch.setattr("gateway.upstream.connection.time", clock)
    return clock


async def numbering(peer: Peer) -> None:
    """Answer with the connection's number."""
    while await peer.request() != (b"", b""):
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % peer.number)


async def together(client: Client, server: Server, count: int) -> list[bytes]:
    """The connections' numbers, for as many requests at once."""
    answers = await asyncio.gather(*(collect(client, server.request(), 5) for _ in range(count)))
    return [answer.body for answer in answers]


async def test_the_last_used_first(client: Client, serve: Serve, clock: Clock) -> None:
    server = serve(numbering)
    assert sorted(await together(client, server, 3)) == [b"0", b"1", b"2"]
    last = await together(client, server, 1)
    assert await together(client, server, 1) == last
    clock.now = 54
    assert await together(client, server, 1) == last
    clock.now = 56
    assert await together(client, server, 2) == [*last, b"3"]


async def test_unused_for_too_long(client: Client, serve: Serve, clock: Clock) -> None:
    server = serve(numbering)
    await together(client, server, 1)
    clock.now = 55
    assert await together(client, server, 1) == [b"1"]


async def test_too_old(client: Client, serve: Serve, clock: Clock) -> None:
    server = serve(numbering)
    await together(client, server, 1)
    for clock.now in range(50, 600, 50):
        assert await together(client, server, 1) == [b"0"]
    clock.now = 600
    assert await together(client, server, 1) == [b"1"]


async def test_too_old_when_it_comes_back(client: Client, serve: Serve, clock: Clock) -> None:
    server = serve(answering(OK))
    notes = Notes()
    await client.send(server.request(), notes, 5)
    clock.now = 700
    await notes.over.wait()
    await server.finish()


async def test_the_unused_are_closed_without_being_asked_for(serve: Serve) -> None:
    server = serve(answering(OK))
    async with running(Client(max_idle=0.02)) as client:
        await together(client, server, 1)
        await server.finish()


async def test_sweeping_goes_on_while_any_are_left(serve: Serve, clock: Clock) -> None:
    first, second = serve(answering(OK)), serve(answering(OK))
    async with running(Client(max_idle=0.02)) as client:
        await together(client, first, 1)
        clock.now = 0.015
        await together(client, second, 1)
        clock.now = 0.03
        await first.finish()
        clock.now = 0.04
        await second.finish()


async def test_retain(client: Client, serve: Serve) -> None:
    kept, dropped = serve(answering(OK, OK)), serve(answering(OK, OK))
    for server in (kept, dropped):
        await together(client, server, 1)
    client.retain([f"http://127.0.0.1:{kept.port}/v1", "https://elsewhere.test"])
    await dropped.finish()
    assert (await client.send(kept.request(), Notes(), 5)).reused
    assert not (await client.send(dropped.request(), Notes(), 5)).reused


async def test_origins_do_not_mix(client: Client, serve: Serve) -> None:
    server = serve(numbering)
    assert await together(client, server, 1) == [b"0"]
    answer = await collect(client, server.request(host="localhost"), 5)
    assert answer.body == b"1"


async def test_close_ends_what_is_open(serve: Serve) -> None:
    idle, busy = serve(answering(OK)), serve(answering(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"))
    notes = Notes()
    async with running(Client()) as client:
        await together(client, idle, 1)
        await client.send(busy.request(), notes, 5)
        await notes.heard.wait()
    assert notes.failure is not None and notes.failure.answered
    assert notes.ends == 1
    await idle.finish()
    await busy.finish()


async def test_close_of_an_unused_client() -> None:
    await pool.Pool(1, 1).close()
