"""Clients that take their time, on purpose: each is let go of, and nobody else notices."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway import server
from gateway.request import accept
from tests.daemon.raw import PATIENCE, Answer, Gone, connected, exchange, message
from tests.daemon.running import KEY, Gateway, configured, running
from tests.daemon.stand import check_refusal
from tests.fakes.chat import chat_answer
from tests.fakes.nasty import NastyServer
from tests.fakes.steps import answer

BEARER = [("Authorization", f"Bearer {KEY}")]
HEAD = message("POST /v1/chat/completions", [*BEARER, ("Content-Length", "1000")])
DEADLINE = 0.1
SLOW_ONES = 50


@pytest.fixture
async def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    """A gateway that has little patience, in front of one that answers at length."""
    monkeypatch.setattr(server, "HEADER_DEADLINE", DEADLINE)
    monkeypatch.setattr(server, "LINGER", DEADLINE)
    monkeypatch.setattr(server, "STALL", DEADLINE)
    monkeypatch.setattr(accept, "BODY_DEADLINE", DEADLINE)
    async with NastyServer(answer(200, chat_answer("x" * 24_000_000))) as upstream:
        provider = {"id": "up", "type": "openai", "api_keys": ["k"], "base_url": upstream.url, "model": "m"}
        async with running(configured(provider), tmp_path) as made:
            yield made


async def drip(port: int, start: bytes, piece: bytes) -> Answer | None:
    """Send ``piece`` again and again until the server has had enough; its answer, if it gives one."""
    async with connected(port) as peer:
        await peer.send(start)
        answering = asyncio.create_task(peer.answer())
        while not answering.done():
            await peer.send(piece)
            await asyncio.wait([answering], timeout=DEADLINE / 10)
        try:
            return answering.result()
        except Gone:
            return None


@pytest.mark.parametrize(
    ("start", "piece"),
    [(b"", b""), (b"GET /health HTTP/1.1\r\n", b"X"), (b"GET /health HTTP/1.1\r\n", b"X: y\r\n")],
    ids=["silence", "one endless header", "endless headers"],
)
async def test_slow_heads_end_while_others_are_served(gateway: Gateway, start: bytes, piece: bytes) -> None:
    slow = asyncio.gather(*(drip(gateway.port, start, piece) for _ in range(SLOW_ONES)))
    while not slow.done():
        assert (await exchange(gateway.port, message("GET /health"))).status == 200
    assert {got and got.status for got in await slow} <= {None, 431}


async def test_a_slow_head_on_a_used_connection_ends_too(gateway: Gateway) -> None:
    async with connected(gateway.port) as peer:
        await peer.send(message("GET /health"))
        assert (await peer.answer()).status == 200
        await peer.send(b"GET /hea")
        assert await peer.closed() == b""


async def test_slow_bodies_end_while_others_are_served(gateway: Gateway) -> None:
    slow = asyncio.gather(*(drip(gateway.port, HEAD, b" ") for _ in range(SLOW_ONES)))
    while not slow.done():
        assert (await exchange(gateway.port, message("GET /health"))).status == 200
    for got in await slow:
        assert got is not None
        check_refusal(got, 408, "request_timeout")
        assert got.headers["connection"] == "close"


async def test_a_body_that_does_not_come_is_said_to_be_late(gateway: Gateway) -> None:
    check_refusal(await exchange(gateway.port, HEAD), 408, "request_timeout")


async def test_the_body_of_a_refused_request_is_not_read_for_long(gateway: Gateway) -> None:
    late = message("POST /v1/chat/completions", [("Content-Length", "10000000")])
    async with connected(gateway.port) as peer:
        await peer.send(late)
        check_refusal(await peer.answer(), 401, "invalid_api_key")
        assert await peer.closed() == b""


async def test_a_client_that_does_not_read_is_dropped(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = asyncio.Event()
    known = server.Connection.connection_lost

    def connection_lost(connection: server.Connection, exc: BaseException | None) -> None:
        known(connection, exc)
        lost.set()

    monkeypatch.setattr(server.Connection, "connection_lost", connection_lost)
    with socket.create_connection(("127.0.0.1", gateway.port)) as reader:
        body = b'{"model":"m","messages":[{"role":"user","content":"Hello"}]}'
        reader.sendall(message("POST /v1/chat/completions", BEARER, body))
        await asyncio.wait_for(lost.wait(), PATIENCE)
    (record,) = await gateway.records(1)
    assert record.status == 200
