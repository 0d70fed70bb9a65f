"""Tests of one connection's life: reuse, races, and lies."""

from __future__ import annotations

import asyncio

import pytest

from gateway.upstream.client import Client
from gateway.upstream.connection import MUCH
from gateway.upstream.failure import FailureKind
from tests.upstream.conftest import Serve
from tests.upstream.peers import CHUNKED, OK, Notes, Peer, answering, exchange, failure

MIB = 1 << 20


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


async def test_others_have_their_turn_after_a_large_read(client: Client, serve: Serve) -> None:
    """An upstream that sends as fast as it can is read once in a turn of the loop."""
    notes = Notes()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nx" % MIB)
        await peer.gone()

    handle = await client.send(serve(script).request(), notes, 5)
    await notes.heard.wait()
    connection = handle.connection
    assert connection is not None
    connection.data_received(bytes(MUCH - 1))
    assert connection.transport.is_reading()
    connection.data_received(bytes(MUCH))
    assert not connection.transport.is_reading()
    await asyncio.sleep(0)
    assert connection.transport.is_reading()
    connection.data_received(bytes(MUCH))
    handle.pause()
    await asyncio.sleep(0)
    assert not connection.transport.is_reading()
    handle.resume()
    assert connection.transport.is_reading()
    handle.abort()


async def test_answer_before_the_request_was_read(client: Client, serve: Serve) -> None:
    """The connection is not kept: the rest of the request would be taken for the next one."""

    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await peer.gone()

    server = serve(script)
    notes, _ = await exchange(client, server, bytes(32 * MIB))
    assert notes.status == 413
    await server.finish()


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
