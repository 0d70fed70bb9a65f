"""Connections, spoken to in raw bytes: broken HTTP, half-closed and vanished clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from gateway import runner, server
from gateway.api.errors import ApiError
from gateway.dialects.messages.inbound.client import MESSAGES
from gateway.dialects.openai_client import CHAT
from gateway.runner import Runner
from gateway.server import Direct, Server


@dataclass
class Served:
    """A tiny application on our connections."""

    runner: Runner = field(init=False)
    port: int = 0
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[str] = field(default_factory=list)

    @property
    def server(self) -> Server:
        assert isinstance(self.runner.server, Server)
        return self.runner.server

    async def direct(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(request.path)
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n"
        return Direct(200, head.encode() + body)

    async def plain(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="plain")

    async def slow(self, request: web.Request) -> web.StreamResponse:
        self.entered.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return web.Response(text="slow")

    async def collect(self, request: web.Request) -> web.StreamResponse:
        self.entered.set()
        try:
            await request.read()
        except web.RequestPayloadError:
            return Direct(400, b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", close=True)
        raise AssertionError("a broken body was taken for whole")

    async def bug(self, request: web.Request) -> web.StreamResponse:
        raise RuntimeError("boom")

    async def unread(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="did not read", status=401)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    state = Served()
    app = web.Application()
    app.router.add_route("*", "/direct", state.direct)
    app.router.add_get("/plain", state.plain)
    app.router.add_get("/slow", state.slow)
    app.router.add_get("/bug", state.bug)
    app.router.add_post("/collect", state.collect)
    app.router.add_post("/unread", state.unread)
    state.runner = runner = Runner(app, 1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    state.port = runner.addresses[0][1]
    yield state
    await runner.cleanup()


async def talk(port: int, sent: bytes) -> bytes:
    """Send bytes, return all that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


async def test_who_never_had_a_client_waits_for_none() -> None:
    async def nothing(request: web.BaseRequest) -> web.StreamResponse:
        raise AssertionError("nobody asks")

    assert Server(nothing).expected.none.is_set()


GET = b"GET /direct HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@asynccontextmanager
async def answered(served: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that has had an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(GET)
    assert await reader.readexactly(len(ANSWER)) == ANSWER
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_of_a_server_that_leaves_idle_connections_are_closed_and_others_are_not(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LATECOMERS", 0.0)
    async with answered(served) as (idle, _), answered(served) as (asking, begun):
        begun.write(GET[:10])
        silent, first = await asyncio.open_connection("127.0.0.1", served.port)
        await asyncio.sleep(0.05)
        served.server.leave()
        async with asyncio.timeout(5):
            assert await idle.read() == b""
            begun.write(GET[10:])
            assert await asking.read() == ANSWER
            first.write(GET)
            assert await silent.read() == ANSWER
        first.close()


async def test_of_a_server_that_leaves_who_was_just_answered_is_waited_for(served: Served) -> None:
    async with answered(served) as (reader, writer):
        assert served.server.expected.none.is_set()
        served.server.leave()
        assert not served.server.expected.none.is_set()
        writer.write(GET)
        async with asyncio.timeout(5):
            assert await reader.read() == ANSWER
            await served.server.expected.none.wait()


CLOSE = b"Host: x\r\nConnection: close\r\n\r\n"


async def test_requests_on_one_connection_are_answered_in_order(served: Served) -> None:
    post = b"POST /direct HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
    got = await talk(served.port, post + b"one" + post + b"two" + b"GET /plain HTTP/1.1\r\n" + CLOSE)
    assert got.index(b"one") < got.index(b"two") < got.index(b"plain")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /direct HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /direct HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /direct HTTP/1.1\r\nHost: x\r\nContent-Length: 2, 2\r\n\r\nab",
        b"POST /direct HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\nab",
        b"POST /direct HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\nab",
        b"POST /direct HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /direct HTTP/1.1\r\nHost: x\r\nContent-Length: 0x2\r\n\r\nab",
        b"POST /direct HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /direct HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /direct HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST /direct HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST /direct HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /direct HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /direct HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
        b"POST /direct HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n",
        b"GET /direct HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
        b"GET /direct HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
        b"GET /direct HTTP/1.1\r\nHost: x\r\nna me: v\r\n\r\n",
        b"GET /direct HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n",
        b"GET /direct HTTP/1.1\r\n\r\n",
        b"GET /direct HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"get /direct HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /direct HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /direct HTTP/1.9\r\nHost: x\r\n\r\n",
        b"GET /direct\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /direct HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET /direct HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    ],
    ids=lambda value: value[:60].decode("latin-1").replace("\r\n", "|"),
)
async def test_broken_http_is_answered_in_json_and_closed(served: Served, request_bytes: bytes) -> None:
    got = await talk(served.port, request_bytes)
    head, _, body = got.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    assert status in (400, 414, 431, 501, 505), got
    assert got.count(b"\r\n\r\n") == 1
    assert b"connection: close" in head.lower()
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
    assert b"aaaa" not in body and b"xchunked" not in body
    assert served.seen == []


BEFORE = [b"", b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n"]


@pytest.mark.parametrize("before", BEFORE)
async def test_what_is_refused_by_its_head_is_told_in_the_words_of_its_path(
    served: Served, before: bytes
) -> None:
    for path, dialect in ((b"/v1/messages", MESSAGES), (b"/v1/chat/completions", CHAT)):
        message = b"POST %b HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\nExpect: x\r\n\r\n" % path
        answers = await talk(served.port, before + message)
        got = answers[answers.rindex(b"HTTP/1.1 ") :]
        head, _, body = got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 417 ")
        assert b"\r\nx-request-id: mine\r\n" in head
        assert (b"\r\nrequest-id: mine\r\n" in head) is (dialect is MESSAGES)
        assert json.loads(body).keys() == dialect.error_body(ApiError("invalid_request", ""), "mine").keys()


@pytest.mark.parametrize("path", [b"/collect", b"/unread"])
@pytest.mark.parametrize("coding", [b"br", b"zstd"])
@pytest.mark.parametrize("before", BEFORE)
async def test_a_coding_that_the_parser_does_not_know_is_the_application_s_to_refuse(
    served: Served, before: bytes, coding: bytes, path: bytes
) -> None:
    """It has the head, and a body that cannot be read; nothing that follows is taken for a request."""
    message = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Encoding: %b\r\nContent-Length: 2\r\n\r\n{}"
    answers = await talk(served.port, before + message % (path, coding) + b"GET /direct HTTP/1.1\r\n" + CLOSE)
    got = answers[answers.rindex(b"HTTP/1.1 ") :]
    assert got.startswith(b"HTTP/1.1 %d " % (400 if path == b"/collect" else 401))
    assert served.seen == []


async def test_a_head_whose_beginning_had_come_before_is_refused_as_any(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n")
    await asyncio.sleep(0.05)
    writer.write(b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}")
    got = await reader.read()
    writer.close()
    assert got.startswith(b"HTTP/1.1 415 ")


async def test_too_long_lines_and_too_many_headers_say_so(served: Served) -> None:
    line = await talk(served.port, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    header = await talk(served.port, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 9000 + b"\r\n\r\n")
    many = await talk(served.port, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 200 + b"\r\n")
    assert line.startswith(b"HTTP/1.1 414 ")
    assert header.startswith(b"HTTP/1.1 431 ")
    assert many.startswith(b"HTTP/1.1 431 ")


async def test_a_half_closed_connection_still_gets_its_answer(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET /slow HTTP/1.1\r\n" + CLOSE)
    await served.entered.wait()
    writer.write_eof()
    interim = await reader.readuntil(b"\r\n\r\n")
    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    served.release.set()
    assert (await reader.read()).endswith(b"slow")
    writer.close()


async def test_one_of_http_1_0_gets_nothing_but_its_answer(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET /slow HTTP/1.0\r\nHost: x\r\n\r\n")
    await served.entered.wait()
    writer.write_eof()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.4)
    served.release.set()
    got = await reader.read()
    assert got.startswith((b"HTTP/1.0 200 ", b"HTTP/1.1 200 "))
    assert got.endswith(b"slow")
    writer.close()


async def test_a_client_that_is_gone_cancels_its_request(served: Served) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    await served.entered.wait()
    writer.close()
    await asyncio.wait_for(served.cancelled.wait(), 5)


async def test_an_unread_body_does_not_become_the_next_request(served: Served) -> None:
    smuggled = b"GET /direct HTTP/1.1\r\nHost: x\r\n\r\n"
    post = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
    got = await talk(served.port, post + smuggled + b"GET /plain HTTP/1.1\r\n" + CLOSE)
    assert b"did not read" in got and got.endswith(b"plain")
    assert served.seen == []


async def test_a_head_that_does_not_come_is_not_waited_for(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEADER_DEADLINE", 0.05)
    assert await talk(served.port, b"GET /direct HTTP/1.1\r\nHos") == b""


async def test_without_the_c_parser_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    class PurePython:
        pass

    monkeypatch.setattr(runner, "HttpRequestParser", PurePython)
    with pytest.raises(runner.MissingParser):
        Runner(web.Application(), 1.0)


async def test_what_the_application_did_not_catch_is_answered_and_logged(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    got = await talk(served.port, b"GET /bug HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ") and b"connection: close" in head
    assert "boom" not in body.decode()
    (line,) = caplog.records
    assert line.__dict__["request_id"] in json.loads(body)["error"]["message"]


async def test_an_answer_to_head_has_no_body(served: Served) -> None:
    got = await talk(served.port, b"HEAD /direct HTTP/1.1\r\n" + CLOSE)
    assert got.endswith(b"\r\n\r\n") and got.count(b"\r\n\r\n") == 1


async def test_what_follows_an_upgrade_that_is_not_granted_is_not_read(served: Served) -> None:
    upgrade = b"GET /plain HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    got = await talk(served.port, upgrade + b"GET /direct HTTP/1.1\r\n" + CLOSE)
    assert got.count(b"HTTP/1.1 200 OK") == 1 and b"plain" in got
    assert served.seen == []


async def test_who_reads_a_body_learns_that_it_is_broken(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"POST /collect HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    await served.entered.wait()
    writer.write(b"2\r\nabXX")
    got = await asyncio.wait_for(reader.read(), 5)
    assert got.startswith(b"HTTP/1.1 400 ") and got.count(b"HTTP/1.1") == 1
    writer.close()


async def test_a_half_closed_connection_ends_with_its_last_answer(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    get = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write(get + b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n")
    await served.entered.wait()
    writer.write_eof()
    served.release.set()
    got = await asyncio.wait_for(reader.read(), 5)
    assert b"slow" in got and got.endswith(b"plain")
    writer.close()


async def test_a_body_that_ends_early_is_not_waited_for(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
    await served.entered.wait()
    writer.write_eof()
    assert b" 400 " in await asyncio.wait_for(reader.read(), 5)
    writer.close()
