"""The nasty server does what its script says, to the byte, and knows when its client has gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.fakes.chat import chat_stream_events
from tests.fakes.nasty import NastyServer, Step
from tests.fakes.steps import (
    answer,
    broken_stream,
    close,
    drip,
    head,
    header_flood,
    idle_close,
    limited,
    redirect,
    reset,
    send,
    stall,
    stream,
    truncated,
    until_close,
)

BODY = b'{"model":"gpt-4o"}'
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


@pytest.fixture
async def server() -> AsyncIterator[NastyServer]:
    async with NastyServer(answer()) as started:
        yield started


async def ask(server: NastyServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(REQUEST)
    return reader, writer


async def everything(server: NastyServer) -> bytes:
    """All that one request gets, to the end of the connection."""
    reader, writer = await ask(server)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_the_script_goes_before_models_before_the_default(server: NastyServer) -> None:
    server.models["gpt-4o"] = (*answer(404), close)
    server.script((*answer(503), close), (*limited("7"), close))
    assert (await everything(server)).startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 7\r\n" in await everything(server)
    assert (await everything(server)).startswith(b"HTTP/1.1 404")
    assert [request.json() for request in server.requests] == [{"model": "gpt-4o"}] * 3
    assert server.requests[0].headers["host"] == "x"


async def test_keep_alive_serves_several_requests(server: NastyServer) -> None:
    reader, writer = await ask(server)
    writer.write(REQUEST)
    await server.arrived(2)
    assert (server.accepted, server.connections) == (1, 1)
    writer.close()
    await reader.read()


@pytest.mark.parametrize(
    "when", [(reset,), (send(head(200)), reset), broken_stream(chat_stream_events()[:2])]
)
async def test_a_reset_is_a_reset(server: NastyServer, when: tuple[Step, ...]) -> None:
    server.script(when)
    with pytest.raises(ConnectionResetError):
        await everything(server)


async def test_bytes_arrive_as_they_were_written(server: NastyServer) -> None:
    events = chat_stream_events()
    server.script((drip(b"HTTP/1.1 bad\r\n"), close), until_close(events), (*truncated(b"x" * 50, 10), close))
    assert await everything(server) == b"HTTP/1.1 bad\r\n"
    assert (await everything(server)).endswith(b"".join(events))
    assert (await everything(server)).endswith(b"\r\n\r\n" + b"x" * 40)


async def test_streams_can_be_cut_anywhere(server: NastyServer) -> None:
    joined = b"".join(chat_stream_events())
    server.script((*stream(cut=1), close))
    got = await everything(server)
    body = b"".join(got.partition(b"\r\n\r\n")[2].split(b"\r\n")[1::2])
    assert got.count(b"\r\n1\r\n") == len(joined)
    assert body == joined


async def test_a_stall_ends_when_told(server: NastyServer) -> None:
    go = asyncio.Event()
    server.script((stall(go), *answer(), close))
    task = asyncio.create_task(everything(server))
    await server.arrived(1)
    assert not task.done()
    go.set()
    assert (await task).startswith(b"HTTP/1.1 200")


async def test_a_client_that_leaves_is_noticed(server: NastyServer) -> None:
    server.script(broken_stream(chat_stream_events()[:1], stall()))
    reader, writer = await ask(server)
    (request,) = await server.arrived(1)
    await reader.readuntil(b"\r\n\r\n")
    assert not request.gone.is_set()
    writer.close()
    async with asyncio.timeout(15):
        await request.gone.wait()
    assert server.connections == 0


async def test_other_lies(server: NastyServer) -> None:
    server.script((*redirect("http://elsewhere/"), close), (*header_flood(100), close), idle_close())
    assert b"Location: http://elsewhere/" in await everything(server)
    assert (await everything(server)).count(b"X-Flood-") == 100
    assert (await everything(server)).startswith(b"HTTP/1.1 200")


async def test_it_ends_with_clients_still_waiting() -> None:
    async with NastyServer((stall(),)) as server:
        reader, writer = await ask(server)
        await server.arrived(1)
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
