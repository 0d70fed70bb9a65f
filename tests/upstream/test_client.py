"""Tests of the client as a whole."""

from __future__ import annotations

import asyncio

import pytest

from gateway.upstream.client import Client
from gateway.upstream.collect import collect
from gateway.upstream.failure import FailureKind, UpstreamFailure
from tests.upstream.conftest import Serve, running
from tests.upstream.peers import OK, Notes, Peer, answering


async def test_what_the_upstream_sees(client: Client, serve: Serve) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.send(OK)

    server = serve(script)
    await collect(client, server.request(b'{"a": 1}'), 5)
    assert seen == [
        (
            b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept-Encoding: identity\r\n"
            b"Authorization: Bearer key\r\nContent-Length: 8\r\n\r\n" % server.port,
            b'{"a": 1}',
        )
    ]


async def test_two_hundred_at_once(client: Client, serve: Serve) -> None:
    async def echo(peer: Peer) -> None:
        while (request := await peer.request()) != (b"", b""):
            await peer.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(request[1]), request[1])
            )

    server = serve(echo)
    for _ in range(2):
        bodies = [b"%d" % number for number in range(200)]
        answers = await asyncio.gather(*(collect(client, server.request(body), 5) for body in bodies))
        assert [answer.body for answer in answers] == bodies
    assert server.connections == 200


async def test_answer_too_large(serve: Serve) -> None:
    server = serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001))
    async with running(Client(max_body=1000)) as client:
        with pytest.raises(UpstreamFailure) as caught:
            await collect(client, server.request(), 5)
        assert caught.value.kind is FailureKind.TOO_LARGE
        await server.finish()


async def test_a_request_that_cannot_be_written_opens_nothing(client: Client, serve: Serve) -> None:
    server = serve(answering(OK))
    request = server.request()
    request.headers.append(("X", "a\r\nInjected: 1"))
    with pytest.raises(UpstreamFailure) as caught:
        await client.send(request, Notes(), 5)
    assert caught.value.kind is FailureKind.INVALID
    assert server.connections == 0
