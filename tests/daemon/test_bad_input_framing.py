"""Requests whose framing or head is broken: one answer in JSON, the connection closed, nothing passed on."""

from __future__ import annotations

import pytest

from tests.daemon.raw import Fields, connected, exchange, message
from tests.daemon.stand import BEARER, CHAT, HELLO, Stand, chat, check_refusal, stand

__all__ = ["stand"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = chat().partition(b"\r\n\r\n")[2]
CHUNKS = b"0\r\n\r\n"


def post(*headers: tuple[str, str | bytes], body: bytes = b"ab") -> bytes:
    """A chat request with a key, framed by these headers."""
    return message(CHAT, [*BEARER, *headers], b"") + body


def with_line(line: bytes, start: bytes = CHAT.encode() + b" HTTP/1.1") -> bytes:
    """A chat request with one more line in its head, as it is."""
    return b"%b\r\nHost: x\r\n%b\r\n\r\n" % (start, line)


CL, TE = "Content-Length", "Transfer-Encoding"
BROKEN = {
    "length and chunked": post((CL, "5"), (TE, "chunked"), body=CHUNKS),
    "two lengths": post((CL, "2"), (CL, "3"), body=b"abc"),
    "length list": post((CL, "2, 2")),
    "length +2": post((CL, "+2")),
    "length 1_0": post((CL, "1_0"), body=b"0123456789"),
    "length -1": post((CL, "-1")),
    "length empty": post((CL, "")),
    "length 0x2": post((CL, "0x2")),
    "length of 20 digits": post((CL, "9" * 20)),
    "length with a full-width digit": post((CL, "２".encode())),
    "xchunked": post((TE, "xchunked"), body=CHUNKS),
    "chunked, identity": post((TE, "chunked, identity"), body=CHUNKS),
    "transfer coding with a space before the colon": with_line(b"Transfer-Encoding : chunked"),
    "folded transfer coding": with_line(b"Transfer-Encoding:\r\n chunked"),
    "transfer coding with a vertical tab": post((TE, b"\x0bchunked"), body=CHUNKS),
    "transfer coding with a no-break space": post((TE, b"chunked\xa0"), body=CHUNKS),
    "bare LF": with_line(b"A: b\nContent-Length: 2"),
    "CR in a value": with_line(b"A: b\rc"),
    "NUL in a value": with_line(b"A: b\x00c"),
    "empty header name": with_line(b": v"),
    "space in a header name": with_line(b"na me: v"),
    "obs-fold": with_line(b"A: b\r\n c"),
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "two hosts": with_line(b"Host: y"),
    "lower-case method": message("get /v1/models"),
    "unknown method": message("BREW /v1/models"),
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "raw bytes in the target": message("GET /v1/\xff\xfe"),
    "space in the target": message("GET /v1/ models"),
}
NOT_IMPLEMENTED = {
    "gzip, chunked": post((TE, "gzip, chunked"), body=CHUNKS),
    "identity, chunked": post((TE, "identity, chunked"), body=CHUNKS),
    "chunked twice": post((TE, "chunked"), (TE, "chunked"), body=CHUNKS),
    "chunked in HTTP/1.0": with_line(b"Transfer-Encoding: chunked", CHAT.encode() + b" HTTP/1.0") + CHUNKS,
}
OTHER_VERSIONS = {
    "HTTP/2.0": message("GET /v1/models HTTP/2.0"),
    "HTTP/0.9": message("GET /v1/models HTTP/0.9"),
    "HTTP/1.9": message("GET /v1/models HTTP/1.9"),
    "no version": b"GET /v1/models\r\n\r\n",
    "h2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}
CHUNK_LINES = {
    "hexadecimal prefix": b"0x2\r\nab\r\n0\r\n\r\n",
    "negative": b"-2\r\nab\r\n0\r\n\r\n",
    "underscore": b"0_2\r\nab\r\n0\r\n\r\n",
    "huge": b"f" * 17 + b"\r\nab",
    "LF in an extension": b"2;a\nb\r\nab\r\n0\r\n\r\n",
    "no CRLF after the data": b"2\r\nabXX0\r\n\r\n",
    "no size": b"\r\nab\r\n0\r\n\r\n",
}


async def refused_and_closed(stand: Stand, data: bytes, allowed: set[int]) -> None:
    """Refused with one of the statuses, the connection closed, and not a byte after the one answer."""
    async with stand.unmoved(), connected(stand.port) as peer:
        await peer.send(data)
        got = await peer.answer()
        assert got.status in allowed, got
        check_refusal(got, got.status, got.error["code"])
        assert got.headers["connection"] == "close"
        assert await peer.closed() == b""


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
async def test_broken_framing(stand: Stand, data: bytes) -> None:
    await refused_and_closed(stand, data, {400})


@pytest.mark.parametrize("data", NOT_IMPLEMENTED.values(), ids=NOT_IMPLEMENTED)
async def test_transfer_codings_that_others_may_read_differently(stand: Stand, data: bytes) -> None:
    await refused_and_closed(stand, data, {400, 501})


@pytest.mark.parametrize("data", OTHER_VERSIONS.values(), ids=OTHER_VERSIONS)
async def test_other_versions(stand: Stand, data: bytes) -> None:
    await refused_and_closed(stand, data, {400, 505})


@pytest.mark.parametrize("body", CHUNK_LINES.values(), ids=CHUNK_LINES)
async def test_broken_chunks(stand: Stand, body: bytes) -> None:
    await refused_and_closed(stand, post((TE, "chunked"), body=body), {400})


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (message("GET /" + "a" * 9000), 414, "uri_too_long"),
        (message("GET /v1/models", [("A", "a" * 9000)]), 431, "headers_too_large"),
        (message("GET /v1/models", [("A", "b")] * 200), 431, "headers_too_large"),
    ],
    ids=["target", "header", "headers"],
)
async def test_too_long(stand: Stand, data: bytes, status: int, code: str) -> None:
    got = await stand.refuses(data, status, code)
    assert got.headers["connection"] == "close"


@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
async def test_an_upgrade_is_ignored_and_the_connection_said_to_end(stand: Stand, upgrade: str) -> None:
    headers: Fields = (("Connection", "Upgrade"), ("Upgrade", upgrade))
    async with connected(stand.port) as peer:
        await peer.send(chat(HELLO, headers) + chat())
        got = await peer.answer()
        assert (got.status, got.headers["connection"]) == (200, "close")
        assert await peer.closed() == b""


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        ("TRACE /v1/models", 405, "method_not_allowed"),
        ("PUT /v1/chat/completions", 405, "method_not_allowed"),
        ("GET /v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE /v1/models/gpt-4o", 405, "method_not_allowed"),
        ("OPTIONS /v1/chat/completions", 405, "method_not_allowed"),
        ("GET /v1/nothing", 404, "unknown_url"),
        ("GET /", 404, "unknown_url"),
        ("OPTIONS *", 404, "unknown_url"),
        ("GET /v1/chat/completions%00", 404, "unknown_url"),
        ("GET /v1/%2e%2e/admin/v1/config", 404, "unknown_url"),
        ("GET /v1/../admin/v1/config", 404, "unknown_url"),
        ("GET //v1/models", 404, "unknown_url"),
        ("GET /v1//models", 404, "unknown_url"),
        ("GET /v1/models;a=b", 404, "unknown_url"),
        ("GET /v1/models%zz", 404, "unknown_url"),
        ("GET /v1/completions/", 404, "unknown_url"),
        ("GET /v1%2fmodels", 404, "unknown_url"),
        ("GET /" + "x" * 4000, 404, "unknown_url"),
        ("GET /v1/models/" + "x" * 4000, 404, "model_not_found"),
        ("GET /v1/models/%ff%0d%0aSet-Cookie:%20a", 404, "unknown_url"),
        ("PUT /v1/models/" + "x" * 4000, 405, "method_not_allowed"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_is_not_served(stand: Stand, line: str, status: int, code: str) -> None:
    got = await stand.refuses(message(line, BEARER), status, code)
    if status == 405:
        assert got.headers["allow"]


async def test_a_tunnel_is_refused_and_what_it_would_carry_is_not_read(stand: Stand) -> None:
    async with stand.unmoved(), connected(stand.port) as peer:
        await peer.send(message("CONNECT evil.example:80", BEARER) + chat())
        got = await peer.answer()
        assert got.status in (400, 404, 405)
        check_refusal(got, got.status, got.error["code"])
        assert await peer.closed() == b""


async def test_the_authority_of_an_absolute_target_does_not_matter(stand: Stand) -> None:
    got = await exchange(stand.port, message("GET http://evil.example/v1/models", BEARER))
    assert got.status == 200


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/none", "/v1/nothing", "/health", "/metrics"])
async def test_a_head_request_gets_no_body(stand: Stand, path: str) -> None:
    async with connected(stand.port) as peer:
        await peer.send(message(f"HEAD {path}", BEARER) + message("GET /health"))
        await peer.answer(to="HEAD")
        assert (await peer.answer()).json()["status"] == "ok"


async def test_broken_http_is_counted(stand: Stand) -> None:
    series = b'coo_llm_errors_total{code="headers_too_large",provider="none"}'

    async def count() -> float:
        text = (await exchange(stand.port, message("GET /metrics"))).body
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(series))

    before = await count()
    await exchange(stand.port, message("GET /v1/models", [("A", "a" * 9000)]))
    assert await count() == before + 1
