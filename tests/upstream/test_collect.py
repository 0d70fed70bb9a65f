"""Tests of collecting whole answers."""

from __future__ import annotations

import asyncio

import pytest

from gateway.upstream.client import Client
from gateway.upstream.collect import Answer, collect
from gateway.upstream.failure import FailureKind, UpstreamFailure
from tests.upstream.conftest import Serve
from tests.upstream.peers import Peer, answering


async def test_answer(client: Client, serve: Serve) -> None:
    server = serve(answering(b"HTTP/1.1 307 Elsewhere\r\nLocation: /x\r\nContent-Length: 3\r\n\r\nbye"))
    answer = await collect(client, server.request(), 5)
    assert answer == Answer(307, {"location": "/x", "content-length": "3"}, b"bye")
    assert "bye" not in repr(answer)


async def test_head_request(client: Client, serve: Serve) -> None:
    server = serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"))
    for _ in range(2):
        answer = await collect(client, server.request(b"", method="HEAD"), 5)
        assert (answer.status, answer.body) == (200, b"")
    assert server.connections == 2


async def test_failure(client: Client, serve: Serve) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        await collect(client, serve(answering(b"garbage\r\n")).request(), 5)
    assert caught.value.kind is FailureKind.INVALID


async def test_cancelled(client: Client, serve: Serve) -> None:
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()

    server = serve(script)
    waiting = asyncio.create_task(collect(client, server.request(), 5))
    await asked.wait()
    waiting.cancel()
    await server.finish()
    with pytest.raises(asyncio.CancelledError):
        await waiting
