"""Speech and events that break off, stall or are no answer, and clients that leave in the middle of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.daemon.faulty import QUICK, at_rest, outcomes, raw_client, reported, upstream
from tests.daemon.running import KEY, Gateway, configured, running
from tests.fakes.nasty import NastyServer, Step
from tests.fakes.steps import (
    LAST_CHUNK,
    answer,
    chunks,
    close,
    head,
    limited,
    open_stream,
    reset,
    send,
    stall,
)

SPEECH = {"model": "m", "input": "Hello", "voice": "a"}
AUDIO = {"Content-Type": "audio/mpeg"}
EVENTS = {**SPEECH, "stream_format": "sse"}
DELTA = b'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n'
DONE = b'data: {"type":"speech.audio.done","usage":{"input_tokens":1,"output_tokens":2}}\n\n'


def sound(*pieces: bytes, end: tuple[Step, ...] = (send(LAST_CHUNK),)) -> tuple[Step, ...]:
    return (send(head(200, {**AUDIO, "Transfer-Encoding": "chunked"})), chunks(*pieces), *end)


def ask(gateway: Gateway, body: Any, path: str = "audio/speech") -> Any:
    return gateway.session.post(f"{gateway.url}/v1/{path}", json=body, headers=gateway.headers)


def request(body: Any) -> bytes:
    payload = orjson.dumps(body)
    head_ = f"POST /v1/audio/speech HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\n"
    return f"{head_}Content-Length: {len(payload)}\r\n\r\n".encode() + payload


@pytest.mark.parametrize("end", [reset, close], ids=["reset", "close"])
async def test_a_sound_that_breaks_off_is_cut_off(nasty: NastyServer, tmp_path: Path, end: Step) -> None:
    arrived = asyncio.Event()

    async def wait(peer: Any) -> None:
        await arrived.wait()

    nasty.default = sound(b"part of it", end=(wait, end))
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        async with ask(gateway, SPEECH) as response:
            assert response.status == 200
            assert await response.content.readexactly(10) == b"part of it"
            arrived.set()
            with pytest.raises(aiohttp.ClientError):
                await response.read()
        record = await reported(gateway)
        assert (record.status, record.error, record.partial) == (200, "upstream_error", True)
        assert outcomes(record) == ["failed"]
        await at_rest(gateway)


@pytest.mark.parametrize(
    "first",
    [
        answer(500),
        limited("1"),
        (reset,),
        sound(),
        answer(200, b"{}"),
        answer(200, b"<html>", {"Content-Type": "text/html"}),
        answer(200, b"<html>", {"Content-Type": "Text/HTML"}),
    ],
    ids=["500", "429", "reset", "empty", "json", "html", "HTML"],
)
async def test_what_fails_before_the_first_byte_is_not_seen(
    nasty: NastyServer, tmp_path: Path, first: tuple[Step, ...], request: pytest.FixtureRequest
) -> None:
    nasty.script(first)
    nasty.default = sound(b"good", b"sound")
    config = configured(upstream(nasty.url, keys=("a", "b")), policy=QUICK)
    async with running(config, tmp_path) as gateway, ask(gateway, SPEECH) as response:
        if request.node.callspec.id == "empty":  # it was an answer, and is billed
            assert response.status == 502
        else:
            assert await response.read() == b"goodsound"
            assert response.headers["content-type"] == "audio/mpeg"
            assert response.headers["x-coo-attempts"] == "2"


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize(
    ("body", "begun"),
    [(SPEECH, sound(b"Twelve bytes", end=(stall(),))), (EVENTS, (open_stream(), chunks(DELTA), stall()))],
    ids=["bytes", "events"],
)
async def test_leaving_in_the_middle_cancels_the_call(
    nasty: NastyServer, tmp_path: Path, leave: str, body: Any, begun: tuple[Step, ...]
) -> None:
    nasty.default = begun
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        async with raw_client(gateway) as client:
            client.writer.write(request(body))
            await client.head()
            await client.reader.read(12)
            client.leave(reset=leave == "reset")
        async with asyncio.timeout(15):
            await nasty.requests[0].gone.wait()
        record = await reported(gateway)
        assert (record.status, record.partial, outcomes(record)) == (499, True, ["cancelled"])
        await at_rest(gateway)


async def test_a_client_that_closes_its_sending_side_gets_the_sound(
    nasty: NastyServer, tmp_path: Path
) -> None:
    halved = asyncio.Event()

    async def wait(peer: Any) -> None:
        await halved.wait()
        await asyncio.sleep(0.8)  # as long as the probes take that nobody must hear

    nasty.default = sound(b"first", end=(wait, chunks(b"second"), send(LAST_CHUNK)))
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway, raw_client(gateway) as client:
        client.writer.write(request(SPEECH))
        await client.head()
        client.half_close()
        halved.set()
        framed = await client.reader.read()
        heard = b""
        while framed:
            size, _, framed = framed.partition(b"\r\n")
            heard, framed = heard + framed[: int(size, 16)], framed[int(size, 16) + 2 :]
        assert heard == b"firstsecond"


async def test_events_that_break_off_end_with_an_error(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.default = (open_stream(), chunks(DELTA), send(LAST_CHUNK))
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        async with ask(gateway, EVENTS) as response:
            body = await response.read()
        assert body.startswith(DELTA + b'data: {"error":') and b"[DONE]" not in body
        assert (await reported(gateway)).error == "upstream_error"


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON"])
async def test_json_in_place_of_events_after_a_comment(
    nasty: NastyServer, tmp_path: Path, content_type: str
) -> None:
    waited = asyncio.Event()

    async def wait(peer: Any) -> None:
        await waited.wait()

    nasty.default = (wait, *answer(200, b'{"created": 1,\n "data": []}', {"Content-Type": content_type}))
    config = configured(upstream(nasty.url), server={"sse_keepalive": "20ms"})
    body = {"model": "m", "prompt": "x", "stream": True}
    async with (
        running(config, tmp_path) as gateway,
        ask(gateway, body, "images/generations") as response,
    ):
        assert (await response.content.readline()).startswith(b":")
        waited.set()
        events = [line for line in (await response.read()).split(b"\n") if line.startswith(b"data")]
        assert events == [b'data: {"created":1,"data":[]}', b"data: [DONE]"]


async def test_events_as_they_came(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.default = (open_stream(), chunks(b": odd\r\n\r\n" + DELTA, DONE), send(LAST_CHUNK))
    async with (
        running(configured(upstream(nasty.url)), tmp_path) as gateway,
        ask(gateway, EVENTS) as response,
    ):
        body = await response.read()
        cost = b'"cost":0.000005,'
        assert (
            body == b": odd\r\n\r\n" + DELTA + DONE.replace(b'"input', cost + b'"input') + b"data: [DONE]\n\n"
        )


async def test_an_old_client_gets_the_sound_up_to_the_end_of_the_connection(
    nasty: NastyServer, tmp_path: Path
) -> None:
    nasty.default = sound(b"first", b"second")
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway, raw_client(gateway) as client:
        client.writer.write(request(SPEECH).replace(b"HTTP/1.1", b"HTTP/1.0"))
        status, headers = await client.head()
        assert (status, headers["content-type"]) == (200, "audio/mpeg")
        assert "transfer-encoding" not in headers
        assert await client.reader.read() == b"firstsecond"


async def test_a_stop_cuts_a_sound_off(nasty: NastyServer, tmp_path: Path) -> None:
    nasty.default = sound(b"first", end=(stall(),))
    async with running(configured(upstream(nasty.url)), tmp_path) as gateway:
        async with ask(gateway, SPEECH) as response:
            assert await response.content.readexactly(5) == b"first"
            gateway.daemon.stop()
            with pytest.raises(aiohttp.ClientError):
                await response.read()
        assert gateway.live.in_flight == 0
