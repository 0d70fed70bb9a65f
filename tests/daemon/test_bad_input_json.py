"""Bodies that are no valid request: refused by name, before they cost anybody anything."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import orjson
import pytest

from tests.daemon.raw import Peer, chunked, connected, exchange, message
from tests.daemon.stand import BEARER, CHAT, HELLO, KEY, Stand, chat, check_refusal, stand

__all__ = ["stand"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
LIMIT = 4 * MIB
"""The stand's ``max_body_mb``."""
TEXT = orjson.dumps(HELLO)

NO_JSON = {
    "empty": b"",
    "truncated": TEXT[:-1],
    "trailing data": TEXT + b" x",
    "NUL": b'{"model": "a\x00"}',
    "control character": b'{"model": "a\x01"}',
    "invalid UTF-8": b'{"model": "\xff"}',
    "UTF-16": TEXT.decode().encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + TEXT,
    "lone surrogate": b'{"model": "\\ud800"}',
    "NaN": b'{"model": "gpt-4o", "temperature": NaN}',
    "Infinity": b'{"model": "gpt-4o", "temperature": -Infinity}',
    "1e999": b'{"model": "gpt-4o", "x": 1e999}',
    "5000 digits": b'{"model": "gpt-4o", "max_tokens": ' + b"9" * 5000 + b"}",
    "a form": b"model=gpt-4o&messages=x",
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
async def test_what_is_no_json(stand: Stand, body: bytes) -> None:
    await stand.refuses(message(CHAT, BEARER, body), 400, "invalid_json")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000])
async def test_deep_nesting(stand: Stand, body: bytes) -> None:
    async with stand.unmoved():
        got = await exchange(stand.port, chat(body))
        assert got.status == 400 and got.error["code"] in ("json_too_deep", "invalid_json")


@pytest.mark.parametrize("body", [[], None, "x", 1, True])
async def test_only_objects_are_requests(stand: Stand, body: object) -> None:
    await stand.refuses(chat(body), 400, "invalid_type")


USER = {"role": "user", "content": "Hello"}
VALUES: list[tuple[dict[str, Any], str, str]] = [
    ({"model": None}, "missing_required_parameter", "model"),
    ({"model": ""}, "invalid_value", "model"),
    ({"model": 4}, "invalid_type", "model"),
    ({"model": "m" * 10_240}, "invalid_value", "model"),
    ({"model": "gpt-4o\r\n"}, "invalid_value", "model"),
    ({"messages": None}, "missing_required_parameter", "messages"),
    ({"messages": []}, "invalid_value", "messages"),
    ({"messages": "Hello"}, "invalid_type", "messages"),
    ({"messages": [None]}, "invalid_type", "messages[0]"),
    ({"messages": [USER, {"role": "wizard"}]}, "invalid_value", "messages[1].role"),
    ({"messages": [{"role": "user", "content": 4}]}, "invalid_type", "messages[0].content"),
    ({"max_tokens": -1}, "invalid_value", "max_tokens"),
    ({"max_tokens": 0}, "invalid_value", "max_tokens"),
    ({"max_tokens": 1.5}, "invalid_type", "max_tokens"),
    ({"max_tokens": "5"}, "invalid_type", "max_tokens"),
    ({"max_tokens": True}, "invalid_type", "max_tokens"),
    ({"max_tokens": 10**12}, "invalid_value", "max_tokens"),
    ({"temperature": 99}, "invalid_value", "temperature"),
    ({"temperature": "1"}, "invalid_type", "temperature"),
    ({"n": 0}, "invalid_value", "n"),
    ({"n": -1}, "invalid_value", "n"),
    ({"n": 10_000}, "invalid_value", "n"),
    ({"stream": "true"}, "invalid_type", "stream"),
    ({"stream": 1}, "invalid_type", "stream"),
    ({"stream_options": {"include_usage": True}}, "invalid_value", "stream_options"),
]
VALUES += [
    ({name: "http://127.0.0.1:1/"}, "unsupported_parameter", name)
    for name in ("api_base", "base_url", "api_key", "organization", "extra_headers", "mock_response")
]


@pytest.mark.parametrize(("change", "code", "param"), VALUES, ids=lambda value: str(value)[:40])
async def test_a_wrong_value_is_named(stand: Stand, change: dict[str, Any], code: str, param: str) -> None:
    got = await stand.refuses(chat({**HELLO, **change}), 400, code)
    assert got.error["param"] == param


@pytest.mark.parametrize(
    "name", ["no-such-model", "../../x", "gpt?x=1#", "a/b%2f..", "m" * 256, "<img src=x>", "${ENV}"]
)
async def test_an_unknown_model(stand: Stand, name: str) -> None:
    got = await stand.refuses(chat({**HELLO, "model": name}), 404, "model_not_found")
    assert got.error["param"] == "model"


@pytest.mark.parametrize("name", ["../../admin", "gpt?x=1#y", "a/b%2f..", "http://127.0.0.1:1/"])
async def test_a_model_name_never_changes_the_upstream_url(stand: Stand, name: str) -> None:
    got = await exchange(stand.port, chat({**HELLO, "model": f"up:{name}"}))
    assert got.status == 200
    sent = stand.upstream.requests[-1]
    assert sent.target == "/v1/chat/completions"
    assert sent.json()["model"] == name


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "invalid_value"),
        ([], "invalid_value"),
        (["a"] * 5000, "invalid_value"),
        ([1, "a"], "invalid_value"),
        ([[]], "invalid_value"),
        ({"a": 1}, "invalid_type"),
        (None, "missing_required_parameter"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_embedding_input(stand: Stand, value: object, code: str) -> None:
    body = orjson.dumps({"model": "text-embedding-3-small", "input": value})
    got = await stand.refuses(message("POST /v1/embeddings", BEARER, body), 400, code)
    assert got.error["param"] == "input"


@pytest.mark.parametrize(
    "extra",
    [
        {"__proto__": {"admin": True}, "constructor": "x"},
        {"prompt": "{{7*7}} ${ENV} %s {0.__class__} \u2028 \u202e é 😀"},
        {"metadata": {"user_api_key": "x", "tags": ["{{7*7}}"]}},
        {"frobnicate": [1, 2.5, None, True, "x"]},
        {"messages": [{"role": "user", "content": [image]}]}
        if (image := {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}})
        else {},
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc"}}]}
            ]
        },
    ],
    ids=["prototype", "templates", "metadata", "unknown", "metadata service", "file"],
)
async def test_what_is_not_ours_to_judge_arrives_as_it_was_sent(stand: Stand, extra: dict[str, Any]) -> None:
    body = {**HELLO, **extra}
    assert (await exchange(stand.port, chat(body))).status == 200
    assert stand.upstream.requests[-1].json() == body


async def test_of_a_repeated_key_the_last_counts_here_and_upstream(stand: Stand) -> None:
    twice = b'{"model": "none", ' + TEXT[1:]
    assert (await exchange(stand.port, chat(twice))).status == 200
    assert stand.upstream.requests[-1].body.count(b'"model"') == 1


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "a/b; charset=utf-7"]
)
async def test_json_is_taken_whatever_its_content_type_says(stand: Stand, kind: str | None) -> None:
    headers = [] if kind is None else [("Content-Type", kind)]
    assert (await exchange(stand.port, chat(TEXT, headers))).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1," * (MIB // 2) + b"1]",
        orjson.dumps({f"key {number}": number for number in range(200_000)}),
        orjson.dumps({**HELLO, "x": list(range(500_000))}),
        orjson.dumps({**HELLO, "messages": [{"role": "user"}] * 100_000}),
    ],
    ids=["array", "keys", "numbers", "messages"],
)
async def test_a_wide_body_holds_nobody_up(stand: Stand, body: bytes) -> None:
    """Others are answered meanwhile, each of them well before the wide one could be through."""
    wide = asyncio.create_task(exchange(stand.port, chat(body)))
    while not wide.done():
        assert (await exchange(stand.port, message("GET /health"))).status == 200
    assert (await wide).status in (200, 400)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_coded_body_is_read(stand: Stand, coding: str) -> None:
    body = gzip.compress(TEXT) if coding == "gzip" else zlib.compress(TEXT)
    assert (await exchange(stand.port, chat(body, [("Content-Encoding", coding)]))).status == 200
    assert stand.upstream.requests[-1].json() == HELLO
    assert "content-encoding" not in stand.upstream.requests[-1].headers


async def test_a_coded_body_without_its_trailer_is_read(stand: Stand) -> None:
    """docs/api.rst says so: aiohttp's decoder does not miss it."""
    cut = gzip.compress(TEXT)[:-8]
    assert (await exchange(stand.port, chat(cut, [("Content-Encoding", "gzip")]))).status == 200
    assert stand.upstream.requests[-1].json() == HELLO


@pytest.mark.parametrize(
    ("coding", "body", "status", "code"),
    [
        ("gzip", b"garbage" * 10, 400, "invalid_request"),
        ("gzip", gzip.compress(TEXT)[:-30], 400, "invalid_json"),
        ("deflate", b"garbage" * 10, 400, "invalid_request"),
        ("gzip", gzip.compress(bytes(64 * MIB)), 413, "request_too_large"),
        ("gzip, gzip", gzip.compress(gzip.compress(TEXT)), 415, "unsupported_media_type"),
        ("foo", TEXT, 415, "unsupported_media_type"),
        ("br", b"\x0b\x02\x80{}\x03", 415, "unsupported_media_type"),
    ],
    ids=["garbage", "truncated", "no deflate", "bomb", "twice", "unknown", "brotli"],
)
async def test_a_coding_that_does_not_work_out(
    stand: Stand, coding: str, body: bytes, status: int, code: str
) -> None:
    got = await stand.refuses(chat(body, [("Content-Encoding", coding)]), status, code)
    assert (got.headers["x-coo-cache"], got.headers["x-coo-attempts"]) == ("off", "0")


async def refused_unread(peer: Peer, status: int, code: str) -> None:
    got = await peer.answer()
    check_refusal(got, status, code)
    assert peer.interim == []
    assert got.headers["connection"] == "close"


async def test_a_body_that_is_said_to_be_too_large_is_not_waited_for(stand: Stand) -> None:
    async with stand.unmoved(), connected(stand.port) as peer:
        await peer.send(message(CHAT, [*BEARER, ("Content-Length", str(LIMIT + 1))]))
        await refused_unread(peer, 413, "request_too_large")


async def test_a_chunked_body_is_read_up_to_the_limit(stand: Stand) -> None:
    async with stand.unmoved(), connected(stand.port) as peer:
        await peer.send(message(CHAT, [*BEARER, ("Transfer-Encoding", "chunked")]))
        await peer.send(chunked(*[bytes(MIB)] * 5)[:-5])
        await refused_unread(peer, 413, "request_too_large")


EXPECT = ("Expect", "100-continue")
LENGTH = ("Content-Length", str(len(TEXT)))


async def test_who_may_not_send_a_body_is_not_asked_for_it(stand: Stand) -> None:
    async with stand.unmoved(), connected(stand.port) as peer:
        await peer.send(message(CHAT, [EXPECT, LENGTH]))
        await refused_unread(peer, 401, "invalid_api_key")
    async with stand.unmoved(), connected(stand.port) as peer:
        await peer.send(message("POST /v1/nothing", [*BEARER, EXPECT, LENGTH]))
        await refused_unread(peer, 404, "unknown_url")


async def test_who_may_is_asked_once(stand: Stand) -> None:
    async with connected(stand.port) as peer:
        await peer.send(message(CHAT, [*BEARER, EXPECT, LENGTH]))
        answering = asyncio.create_task(peer.answer())
        while not peer.interim and not answering.done():
            await asyncio.wait([answering], timeout=0.001)
        await peer.send(TEXT)
        assert (await answering).status == 200
        assert peer.interim == [100]


async def test_http_1_0_is_not_asked(stand: Stand) -> None:
    """RFC 9110, section 10.1.1: a client of that version would not understand."""
    async with connected(stand.port) as peer:
        await peer.send(message(f"{CHAT} HTTP/1.0", [*BEARER, EXPECT], TEXT))
        assert (await peer.answer()).status == 200
        assert peer.interim == []


@pytest.mark.parametrize(
    "path", ["POST /v1/chat/completions", "GET /v1/models", "GET /v1/nothing", "PUT /v1/models"]
)
async def test_other_expectations(stand: Stand, path: str) -> None:
    await stand.refuses(message(path, [*BEARER, ("Expect", "x")]), 417, "expectation_failed")


@pytest.mark.parametrize("path", ["POST /admin/v1/clients", "GET /api/admin/v1/health"])
@pytest.mark.parametrize(
    ("header", "status"), [(("Expect", "x"), 417), (("Content-Encoding", "br"), 401)], ids=str
)
async def test_what_is_refused_of_the_admin_api_is_refused_as_it_does(
    stand: Stand, path: str, header: tuple[str, str], status: int
) -> None:
    async with connected(stand.port) as peer:
        await peer.send(message(path, [header], b"{}"))
        answer = await peer.answer()
    assert answer.status == status
    body = answer.json()
    assert (body.keys(), type(body["error"]), body["details"]) == ({"error", "details"}, str, None)


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("sk-narrow", 403, "model_not_allowed"),
        ("sk-foreign", 403, "provider_not_allowed"),
        ("sk-late", 401, "invalid_api_key"),
    ],
)
@pytest.mark.parametrize("model", ["gpt-4o", "up:gpt-4o", "openai:gpt-4o", "smart"])
async def test_a_key_that_may_not(stand: Stand, key: str, status: int, code: str, model: str) -> None:
    body = orjson.dumps({**HELLO, "model": model})
    assert key != KEY
    await stand.refuses(message(CHAT, [("x-api-key", key)], body), status, code)


async def test_broken_chunks_leave_no_doubt_about_the_connection(stand: Stand) -> None:
    """The body is broken after its request was taken up."""
    async with stand.unmoved(), connected(stand.port) as peer:
        await peer.send(message(CHAT, [*BEARER, ("Transfer-Encoding", "chunked")]))
        await peer.send(b"5\r\nab")
        await peer.send(b"cde" + b"XX" + chat())
        got = await peer.answer()
        check_refusal(got, 400, "invalid_request")
        assert got.headers["connection"] == "close"
        assert await peer.closed() == b""
