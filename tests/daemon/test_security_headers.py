"""What goes up is what the gateway wrote, and what comes down is what it wrote: no header passes through."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clients.world import CHAT, EMBEDDING, serving
from tests.daemon.raw import Fields, connected, exchange, message
from tests.daemon.running import KEY as WORLD_KEY
from tests.daemon.stand import BEARER, HELLO, KEY, Stand, chat, stand
from tests.fakes.nasty import Step
from tests.fakes.steps import answer, open_stream, stream

__all__ = ["stand"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

UPWARD = {
    *("host", "content-type", "content-length", "authorization", "accept", "accept-encoding", "user-agent"),
    "connection",
}
"""All that an upstream of OpenAI's kind is ever sent."""
DOWNWARD = {
    *("content-type", "content-length", "transfer-encoding", "cache-control", "x-accel-buffering"),
    *(
        "x-request-id",
        "x-coo-cache",
        "x-coo-attempts",
        "x-coo-provider",
        "x-coo-model",
        "x-coo-key",
        "x-coo-cost",
    ),
    *("x-coo-upstream-request-id", "x-coo-error-source", "x-should-retry", "connection"),
    *(f"x-ratelimit-{what}-requests" for what in ("limit", "remaining", "reset")),
}
NOTED: Fields = [
    ("Cookie", "session=1"),
    ("X-Forwarded-For", "203.0.113.7"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "https"),
    ("Forwarded", "for=203.0.113.7"),
    ("Via", "1.1 proxy"),
    ("x-stainless-os", "Linux"),
    ("OpenAI-Organization", "org-client"),
    ("OpenAI-Project", "proj-client"),
    ("anthropic-beta", "x"),
    ("x-goog-api-key", KEY),
    ("x-api-key", KEY),
    ("Proxy-Authorization", "Basic eDp5"),
    ("Keep-Alive", "timeout=5"),
    ("TE", "trailers"),
    ("Trailer", "x"),
    ("Connection", "authorization, x-request-id, x-api-key"),
    ("X-Request-Id", "of-the-client"),
    ("User-Agent", "evil/1.0"),
    ("Accept-Encoding", "br"),
    ("Referer", "https://evil.example/?key=1"),
]
NAMES = st.text(string.ascii_letters + string.digits + "-_.!#$%&'*+^`|~", min_size=1, max_size=20)
OURS = ("content-length", "transfer-encoding", "content-encoding", "expect", "host", "upgrade", "connection")
KEYS = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "sec-websocket-key1")
"""Headers that would make it another request; they are tried elsewhere."""


def check_upward(headers: Mapping[str, str], body: Any = HELLO) -> None:
    assert set(headers) <= UPWARD
    assert headers["authorization"] == "Bearer upstream-secret-key"
    assert KEY not in str(headers)
    assert "evil" not in str(headers)


@given(st.lists(st.tuples(NAMES, st.text(string.printable[:95], max_size=40)), max_size=8))
@settings(max_examples=60, deadline=None)
async def test_no_header_of_a_client_goes_up(stand: Stand, headers: list[tuple[str, str]]) -> None:
    headers = [(name, value) for name, value in headers if name.lower() not in (*OURS, *KEYS)]
    assert (await exchange(stand.port, chat(HELLO, headers))).status == 200
    check_upward(stand.upstream.requests[-1].headers)


@pytest.mark.parametrize("header", NOTED, ids=lambda header: header[0])
async def test_nor_does_one_that_others_pass_on(stand: Stand, header: tuple[str, str]) -> None:
    got = await exchange(stand.port, chat(HELLO, [header]))
    assert got.status == 200
    check_upward(stand.upstream.requests[-1].headers)


async def test_a_header_cannot_be_named_away(stand: Stand) -> None:
    """A proxy would drop what ``Connection`` names; the key counts all the same."""
    named = message("GET /v1/models", [("Connection", "authorization"), *BEARER])
    assert (await exchange(stand.port, named)).status == 200


@pytest.mark.parametrize(
    ("given_id", "kept"),
    [
        ("abc-DEF_1.2", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("x" * 1024, False),
        ("", False),
        ("a b", False),
        ("é", False),
        ('"', False),
        ("a\tb", False),
    ],
)
async def test_a_request_id_is_kept_if_it_is_sane(stand: Stand, given_id: str, kept: bool) -> None:
    got = await exchange(stand.port, chat(HELLO, [("X-Request-Id", given_id)]))
    assert (got.headers["x-request-id"] == given_id) == kept
    assert got.headers["x-request-id"]


THEIRS = {
    "Set-Cookie": "a=b",
    "Access-Control-Allow-Origin": "*",
    "Server": "theirs",
    "x-ratelimit-remaining-requests": "7",
    "x-coo-provider": "theirs",
    "x-request-id": "req-of-the-upstream",
    "Strict-Transport-Security": "max-age=1",
}


@pytest.mark.parametrize(
    ("status", "steps"),
    [
        (200, answer(headers=THEIRS)),
        (200, (open_stream(THEIRS), *stream()[1:])),
        (400, answer(400, headers=THEIRS)),
        (502, answer(500, headers=THEIRS)),
        (502, answer(307, headers={**THEIRS, "Location": "http://theirs.example/"})),
    ],
    ids=["answer", "stream", "rejection", "failure", "redirect"],
)
async def test_no_header_of_an_upstream_comes_down(
    stand: Stand, status: int, steps: tuple[Step, ...]
) -> None:
    name = f"of-{status}-{len(steps)}"
    stand.upstream.models[name] = steps
    got = await exchange(stand.port, chat({**HELLO, "model": f"up:{name}", "stream": len(steps) > 1}))
    assert got.status == status
    assert set(got.headers) <= DOWNWARD
    assert "theirs" not in str(got)
    assert got.headers["x-coo-upstream-request-id"] == "req-of-the-upstream"


SPLITTING = 'a\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{"forged": 1}'
REQUESTS = [
    ("chat/completions", CHAT, {"messages": HELLO["messages"]}),
    ("chat/completions", CHAT, {"messages": HELLO["messages"], "stream": True}),
    ("completions", CHAT, {"prompt": "Hello"}),
    ("responses", CHAT, {"input": "Hello"}),
    ("messages", CHAT, {"messages": HELLO["messages"], "max_tokens": 9}),
    ("embeddings", EMBEDDING, {"input": "Hello"}),
]


async def test_the_name_of_a_parameter_cannot_forge_an_answer(tmp_path: Path) -> None:
    """It is dropped, which a header says."""
    async with serving(tmp_path) as world:
        port = int(world.gateway.url.rpartition(":")[2])
        asked = [
            (kind, path, {"model": models[kind], **body, SPLITTING: 1, "a\0b": 1, "seed,x": 1})
            for path, models, body in REQUESTS
            for kind in ("claude", "gemini")
            if kind in models
        ]
        for kind, path, body in asked:
            if (kind, path) == ("claude", "messages"):  # passed on as it is
                continue
            fields: Fields = [("Authorization", f"Bearer {WORLD_KEY}")]
            async with connected(port) as peer:
                await peer.send(message(f"POST /v1/{path}", fields, orjson.dumps(body)))
                got = await peer.answer()
                assert (got.status, got.headers.get("x-coo-dropped-params")) == (200, "unknown"), (kind, path)
                assert b"forged" not in got.body
                await peer.send(message("GET /v1/nothing", [*fields, ("Connection", "close")]))
                assert (await peer.answer()).status == 404
                assert await peer.closed() == b""
