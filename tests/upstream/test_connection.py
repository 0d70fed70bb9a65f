"""Tests of one connection's life: reuse, races, lies, back-pressure, abort."""

from __future__ import annotations

import asyncio

import pytest

from gateway.upstream import resolver
from gateway.upstream.client import Client
from gateway.upstream.collect import collect
from gateway.upstream.exchange import Exchange
from gateway.upstream.failure import FailureKind, UpstreamFailure
from tests.upstream.conftest import Serve, running
from tests.upstream.peers import OK, Notes, Peer, Server, answering

MIB = 1 << 20
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def exchange(client: Client, server: Server, body: bytes = b"{}") -> tuple[Notes, Exchange]:
    """One whole exchange."""
    notes = Notes()
    handle = await client.send(server.request(body), notes, 5)
    await notes.over.wait()
    return notes, handle


def failure(notes: Notes) -> tuple[FailureKind, bool]:
    assert notes.failure is not None
    return notes.failure.kind, notes.failure.answered


async def test_reuse(client: Client, serve: Serve) -> None:
    server = serve(answering(*[OK] * 5))
    reused = []
    for _ in range(5):
        notes, handle = await exchange(client, server)
        assert (notes.status, notes.body, notes.ends) == (200, b"ok", 1)
        reused.append(handle.reused)
    assert reused == [False, True, True, True, True]
    assert server.connections == 1


async def test_a_pooled_send_does_not_wait(client: Client, serve: Serve) -> None:
    server = serve(answering(OK, OK))
    await exchange(client, server)
    notes = Notes()
    with pytest.raises(StopIteration):
        client.send(server.request(), notes, 5).send(None)
    await notes.over.wait()
    assert notes.body == b"ok"


async def test_the_next_request_from_within_the_end(client: Client, serve: Serve) -> None:
    server = serve(answering(OK, OK))
    second = Notes()

    class First(Notes):
        def on_end(self) -> None:
            super().on_end()
            with pytest.raises(StopIteration):
                client.send(server.request(), second, 5).send(None)

    await client.send(server.request(), First(), 5)
    await second.over.wait()
    assert second.body == b"ok"
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
        OK + b"surplus",
    ],
)
async def test_no_reuse(client: Client, serve: Serve, answer: bytes) -> None:
    server = serve(answering(answer))
    for _ in range(2):
        notes, handle = await exchange(client, server)
        assert (notes.heads, notes.body, notes.ends) == (1, b"ok", 1)
        assert not handle.reused
    assert server.connections == 2
    await server.finish()


async def test_bytes_after_the_answer_never_answer_the_next_request(client: Client, serve: Serve) -> None:
    told = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        if peer.number == 0:
            await told.wait()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad")
        await peer.gone()

    server = serve(script)
    await exchange(client, server)
    told.set()
    await server.finish()
    notes, handle = await exchange(client, server)
    assert notes.body == b"ok"
    assert not handle.reused


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_idle_connection_closed_as_it_is_used(client: Client, serve: Serve, how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        if peer.number == 0:
            await peer.request()
            getattr(peer, how)()
        else:
            await peer.gone()

    server = serve(script)
    await exchange(client, server)
    notes, handle = await exchange(client, server)
    assert (notes.status, notes.body, notes.ends) == (200, b"ok", 1)
    assert not handle.reused
    assert server.connections == 2


async def test_only_one_new_try(client: Client, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.send(OK)
            await peer.request()

    server = serve(script)
    await exchange(client, server)
    notes, _ = await exchange(client, server)
    assert failure(notes) == (FailureKind.RESET, False)
    assert notes.ends == 1
    assert server.connections == 2


async def test_no_new_try_once_a_byte_has_come(client: Client, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        await peer.send(b"H")

    server = serve(script)
    await exchange(client, server)
    notes, _ = await exchange(client, server)
    assert failure(notes) == (FailureKind.RESET, True)
    assert server.connections == 1


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


async def test_an_idle_connection_that_ends_is_forgotten(client: Client, serve: Serve) -> None:
    closing = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await closing.wait()
        peer.close_sending()
        await peer.gone()

    server = serve(script)
    await exchange(client, server)
    closing.set()
    await server.finish()
    _, handle = await exchange(client, server)
    assert not handle.reused
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "how", "expected"),
    [
        (b"", "close", (FailureKind.RESET, False)),
        (b"", "reset", (FailureKind.RESET, False)),
        (b"HTTP/1.1 200 OK\r\n", "close", (FailureKind.RESET, True)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "close", (FailureKind.TRUNCATED, True)),
        (CHUNKED + b"2\r\nok\r\n", "close", (FailureKind.TRUNCATED, True)),
        (b"garbage\r\n\r\n", "close", (FailureKind.INVALID, True)),
        (b"garbage\r\n\r\n", "gone", (FailureKind.INVALID, True)),
    ],
)
async def test_failures(
    client: Client, serve: Serve, answer: bytes, how: str, expected: tuple[FailureKind, bool]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        if how == "gone":
            await peer.gone()
        else:
            getattr(peer, how)()

    server = serve(script)
    notes, _ = await exchange(client, server)
    assert failure(notes) == expected
    assert notes.ends == 1
    assert server.connections == 1
    await server.finish()


async def test_request_given_up_by_an_upstream_that_stays(client: Client, serve: Serve) -> None:
    notes = Notes()

    async def script(peer: Peer) -> None:
        peer.close_sending()
        await notes.over.wait()

    await client.send(serve(script).request(bytes(32 * MIB)), notes, 5)
    await notes.over.wait()
    assert failure(notes) == (FailureKind.RESET, False)


async def test_reset_in_mid_body(client: Client, serve: Serve) -> None:
    notes = Notes()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
        await notes.heard.wait()
        peer.reset()

    server = serve(script)
    await client.send(server.request(), notes, 5)
    await notes.over.wait()
    assert failure(notes) == (FailureKind.RESET, True)
    assert notes.body == b"ok"


async def test_answer_ended_by_the_connection(client: Client, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello ")
        await peer.send(b"world")

    server = serve(script)
    notes, _ = await exchange(client, server)
    assert (notes.body, notes.failure) == (b"hello world", None)


async def test_large_bodies_both_ways(client: Client, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        for _ in range(2):
            _, body = await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            await peer.send(body)
        await peer.gone()

    server = serve(script)
    body = bytes(range(256)) * (5 * MIB // 256)
    for _ in range(2):
        notes, _ = await exchange(client, server, body)
        assert notes.body == body
    assert server.connections == 1


async def test_answer_before_the_request_was_read(client: Client, serve: Serve) -> None:
    """The connection is not kept: the rest of the request would be taken for the next one."""

    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await peer.gone()

    server = serve(script)
    notes, _ = await exchange(client, server, bytes(32 * MIB))
    assert notes.status == 413
    await server.finish()


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
    assert (notes.body, notes.ends) == (b"ok", 0)


async def test_a_receiver_that_raises_is_told_of_a_failure(client: Client, serve: Serve) -> None:
    class Broken(Notes):
        def on_data(self, data: bytes) -> None:
            raise ZeroDivisionError

    reported: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context.get("exception")))
    server, notes = serve(answering(OK)), Broken()
    await client.send(server.request(), notes, 5)
    await notes.over.wait()
    assert failure(notes) == (FailureKind.RESET, True)
    assert [type(error) for error in reported] == [ZeroDivisionError]
    await server.finish()


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
