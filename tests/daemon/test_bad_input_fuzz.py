"""Whatever comes down the socket, the answer is HTTP or the end of the connection, and the next is served."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.daemon.raw import Answer, Gone, chunked, connected, exchange, message
from tests.daemon.stand import BEARER, CHAT, HELLO, Stand, chat, stand

__all__ = ["stand"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = orjson.dumps(HELLO)
VALID = [
    chat(),
    chat({**HELLO, "stream": True}),
    message(CHAT, [*BEARER, ("Transfer-Encoding", "chunked")], chunked(TEXT[:20], TEXT[20:])),
    message("GET /v1/models", BEARER) + chat(),
    message("GET /health HTTP/1.0") + chat(),
    message(CHAT, [*BEARER, ("Expect", "100-continue")], TEXT),
    message("OPTIONS /v1/embeddings", [("Origin", "https://x.example"), ("Upgrade", "h2c")]),
]
TOKENS = [
    *(b"\r\n", b"\n", b"\r", b"\x00", b" ", b":", b"\t", b"0", b"-1", b"9" * 20, b"\xff", b"\r\n\r\n"),
    *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: x\r\n", b"Expect: x\r\n"),
    *(b"HTTP/1.0", b"HTTP/2.0", b"CONNECT", b"chunked", b"gzip", b"Connection: upgrade\r\n", b"a" * 9000),
]
ALLOWED_5XX = {501, 505}


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid request (or two) with a few bytes replaced, removed, repeated or put in."""
    data = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(at + draw(st.integers(0, 12)), len(data))
        new = draw(st.sampled_from([*TOKENS, data[at:end] * 2, b""]) | st.binary(max_size=3))
        data = data[:at] + new + data[end:]
    return data


async def all_answers(stand: Stand, data: bytes) -> list[Answer]:
    """Send ``data`` and close the sending side; every answer until the server closes."""
    found = []
    async with connected(stand.port) as peer:
        await peer.send(data)
        if not peer.writer.is_closing():
            peer.writer.write_eof()
        try:
            while True:
                found.append(await peer.answer())
        except Gone:
            assert await peer.closed() == b""
    return found


async def survives(stand: Stand, data: bytes) -> None:
    for got in await all_answers(stand, data):
        assert got.status < 500 or got.status in ALLOWED_5XX, got
        if got.status >= 400:
            assert set(got.error) - {"details"} == {"message", "type", "param", "code"}
    await stand.remaining()


@given(mutated())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(VALID[0][:-5])
@example(VALID[2][:-5])
@example(VALID[2][:-9] + b"\r\n")
async def test_a_mutated_request(stand: Stand, data: bytes) -> None:
    await survives(stand, data)


@given(st.binary(max_size=200))
@settings(max_examples=50, deadline=None)
async def test_any_bytes(stand: Stand, data: bytes) -> None:
    await survives(stand, data)


async def test_random_pieces_of_a_valid_request(stand: Stand) -> None:
    """However it is cut, it is one request."""
    for size in (1, 7, 64):
        async with connected(stand.port) as peer:
            for at in range(0, len(VALID[2]), size):
                peer.writer.write(VALID[2][at : at + size])
                await asyncio.sleep(0)
            assert (await peer.answer()).status == 200


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("model", "messages", "stream", "n", "max_tokens", "temperature", "tools", "stream_options", "input")
NAMES = st.sampled_from(["role", "content", "type", "text", "tool_calls", "function", "name", "image_url"])
MESSAGES = st.lists(
    st.dictionaries(NAMES, VALUES | st.sampled_from(["user", "text"]), max_size=4), max_size=3
)


@given(
    st.sampled_from([CHAT, "POST /v1/completions", "POST /v1/embeddings"]),
    VALUES
    | st.dictionaries(st.sampled_from(FIELDS), VALUES | MESSAGES, max_size=5)
    | st.builds(
        lambda extra: {**HELLO, **extra}, st.dictionaries(st.sampled_from(FIELDS), VALUES | MESSAGES)
    ),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_any_json(stand: Stand, line: str, value: Any) -> None:
    got = await exchange(stand.port, message(line, BEARER, json.dumps(value, ensure_ascii=False).encode()))
    assert got.status in (200, 400, 404), got
    if got.status != 200:
        assert set(got.error) == {"message", "type", "param", "code"}
