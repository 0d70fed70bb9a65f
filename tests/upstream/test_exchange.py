"""Tests of the handle on an exchange: abort and back-pressure, on a first and on a second connection."""

from __future__ import annotations

import asyncio

import pytest

from gateway.upstream import resolver
from gateway.upstream.client import Client
from gateway.upstream.collect import collect
from gateway.upstream.exchange import Exchange
from gateway.upstream.failure import FailureKind, UpstreamFailure
from tests.upstream.conftest import Serve, running
from tests.upstream.peers import CHUNKED, OK, Notes, Peer, answering, exchange


async def test_abort_closes_at_once(client: Client, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
        await peer.gone()

    server = serve(script)
    notes = Notes()
    handle = await client.send(server.request(), notes, 5)
    await notes.heard.wait()
    handle.abort()
    await server.finish()
    handle.abort()
    assert notes.ends == 0
    _, second = await exchange(client, serve(answering(OK)))
    assert not second.reused


async def test_abort_from_within(client: Client, serve: Serve) -> None:
    handles: list[Exchange] = []

    class Leaving(Notes):
        def on_data(self, data: bytes) -> None:
            super().on_data(data)
            handles[0].abort()

    server = serve(answering(CHUNKED + b"2\r\nok\r\n2\r\nno\r\n0\r\n\r\n"))
    notes = Leaving()
    handles.append(await client.send(server.request(), notes, 5))
    await notes.heard.wait()
    await server.finish()
    assert (notes.body, notes.ends) == (b"okno", 0)  # all that one read brought, and no more


async def test_after_the_end_the_handle_is_harmless(client: Client, serve: Serve) -> None:
    server = serve(answering(OK, OK, OK))
    _, old = await exchange(client, server)
    notes = Notes()
    await client.send(server.request(), notes, 5)
    old.pause()
    old.abort()
    old.resume()
    await notes.over.wait()
    assert notes.body == b"ok"
    assert (await exchange(client, server))[1].reused


async def test_pause_and_resume(client: Client, serve: Serve) -> None:
    sent = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        sent.set()
        await peer.request()
        await peer.send(OK)
        await peer.gone()

    server = serve(script)
    notes = Notes()
    handle = await client.send(server.request(), notes, 5)
    handle.pause()
    await sent.wait()
    # An exchange with someone else gives the event loop every chance to read what has been sent.
    await exchange(client, serve(answering(OK)))
    assert notes.status == 0
    handle.resume()
    await notes.over.wait()
    assert notes.body == b"ok"
    assert (await exchange(client, server))[1].reused


async def test_an_answer_that_ends_while_paused_leaves_a_live_connection(
    client: Client, serve: Serve
) -> None:
    handles: list[Exchange] = []

    class Pausing(Notes):
        def on_data(self, data: bytes) -> None:
            super().on_data(data)
            handles[0].pause()

    server = serve(answering(OK, OK))
    notes = Pausing()
    handles.append(await client.send(server.request(), notes, 5))
    await notes.over.wait()
    second, handle = await exchange(client, server)
    assert handle.reused
    assert second.body == b"ok"


async def closing_after_one(peer: Peer) -> None:
    """Answer one request; close the connection when the next one has come."""
    await peer.request()
    await peer.send(OK)
    await peer.request()


async def test_new_try_that_cannot_connect(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "FRESH", 0.0)
    addresses = iter(["127.0.0.1", "127.0.0.2"])

    async def look_up(host: str) -> list[str]:
        return [next(addresses)]

    server = serve(closing_after_one)
    async with running(Client(look_up=look_up)) as client:
        await collect(client, server.request(host="upstream.test"), 5)
        with pytest.raises(UpstreamFailure) as caught:
            await collect(client, server.request(host="upstream.test"), 5)
        assert caught.value.kind is FailureKind.CONNECT


class Names:
    """A name service that gives its first answer at once and the second when it is told to."""

    def __init__(self) -> None:
        self.asked_again = asyncio.Event()
        self.answer = asyncio.Event()
        self._asked = False

    async def look_up(self, host: str) -> list[str]:
        if self._asked:
            self.asked_again.set()
            await self.answer.wait()
        self._asked = True
        return ["127.0.0.1"]


@pytest.mark.parametrize("how", ["abort", "close"])
async def test_leaving_while_trying_anew(serve: Serve, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(resolver, "FRESH", 0.0)
    names, notes = Names(), Notes()
    server = serve(closing_after_one)
    async with running(Client(look_up=names.look_up)) as client:
        await collect(client, server.request(host="upstream.test"), 5)
        handle = await client.send(server.request(host="upstream.test"), notes, 5)
        await names.asked_again.wait()
        if how == "abort":
            handle.abort()
            names.answer.set()
            await exchange(client, serve(answering(OK)))
    assert server.connections == 1
    assert notes.ends == (how == "close")


async def test_paused_while_trying_anew(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "FRESH", 0.0)
    names, notes, sent = Names(), Notes(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        if peer.number == 1:
            sent.set()
            await peer.gone()
        await peer.request()

    server = serve(script)
    async with running(Client(look_up=names.look_up)) as client:
        await collect(client, server.request(host="upstream.test"), 5)
        handle = await client.send(server.request(host="upstream.test"), notes, 5)
        await names.asked_again.wait()
        handle.pause()
        names.answer.set()
        await sent.wait()
        await exchange(client, serve(answering(OK)))
        assert notes.status == 0
        handle.resume()
        await notes.over.wait()
        assert notes.body == b"ok"
