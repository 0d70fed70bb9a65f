"""Plain curl: no JSON content type, streams, the ``/api`` prefix, coded bodies."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.world import CHAT, KINDS, World, serving
from tests.daemon.running import KEY, events_of, text_of

CURL = shutil.which("curl") or "curl"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving(tmp_path) as world:
        yield world


async def curl(*arguments: str, given: bytes = b"") -> bytes:
    """What curl writes to its standard output; it must not fail."""
    process = await asyncio.create_subprocess_exec(
        *(CURL, "-sS", "--max-time", "20", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await process.communicate(given)
    assert process.returncode == 0, complaint.decode()
    return output


def body(kind: str, **more: Any) -> str:
    return json.dumps({"model": CHAT[kind], "messages": [{"role": "user", "content": "Hello"}], **more})


BEARER = ("-H", f"Authorization: Bearer {KEY}")


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_chat_without_a_content_type(kind: str, prefix: str, world: World) -> None:
    url = f"{world.gateway.url}{prefix}/v1/chat/completions"
    answer = json.loads(await curl("-X", "POST", url, *BEARER, "-d", body(kind)))
    assert answer["choices"][0]["message"]["content"] == "Echo: Hello"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream(kind: str, world: World) -> None:
    url = f"{world.gateway.url}/v1/chat/completions"
    events = events_of(await curl("-N", url, *BEARER, "-d", body(kind, stream=True)))
    assert (text_of(events), events[-1]) == ("Echo: Hello", "[DONE]")


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1"])
async def test_versions_of_http(version: str, world: World) -> None:
    url = f"{world.gateway.url}/v1/chat/completions"
    assert b'"Echo: Hello"' in await curl(version, url, *BEARER, "-d", body("openai"))
    events = events_of(await curl(version, "-N", url, *BEARER, "-d", body("openai", stream=True)))
    assert (text_of(events), events[-1]) == ("Echo: Hello", "[DONE]")


async def test_coded_bodies(world: World) -> None:
    url = f"{world.gateway.url}/v1/chat/completions"
    coded = gzip.compress(body("openai").encode())
    headers = (*BEARER, "-H", "Content-Encoding: gzip")
    assert b'"Echo: Hello"' in await curl(url, *headers, "--data-binary", "@-", given=coded)
    chunked = (*headers, "-H", "Transfer-Encoding: chunked")
    assert b'"Echo: Hello"' in await curl(url, *chunked, "--data-binary", "@-", given=coded)


async def test_a_long_body_waits_to_be_asked_for(world: World) -> None:
    """curl sends ``Expect: 100-continue`` with bodies of more than a megabyte."""
    long = {"role": "user", "content": "a" * 2_000_000}
    given = json.dumps({"model": CHAT["openai"], "messages": [long], "max_tokens": 2}).encode()
    url = f"{world.gateway.url}/v1/chat/completions"
    assert b'"Echo: a' in await curl(url, *BEARER, "--data-binary", "@-", given=given)


async def test_the_other_ways_to_send_a_key(world: World) -> None:
    for name in ("x-api-key", "api-key", "x-goog-api-key"):
        listed = json.loads(await curl(f"{world.gateway.url}/v1/models", "-H", f"{name}: {KEY}"))
        assert CHAT["openai"] in [model["id"] for model in listed["data"]]


async def test_what_is_wrong_is_said_with_its_status(world: World) -> None:
    status = ("-w", "\n%{http_code}")
    chats = f"{world.gateway.url}/v1/chat/completions"
    for arguments, expected, code in [
        ((chats, "-d", body("openai")), "401", "invalid_api_key"),
        ((chats, *BEARER, "-d", "{"), "400", "invalid_json"),
        ((chats, *BEARER), "405", "method_not_allowed"),
        ((f"{world.gateway.url}/v2", *BEARER), "404", "unknown_url"),
    ]:
        answer, _, got = (await curl(*arguments, *status)).decode().rpartition("\n")
        assert (got, json.loads(answer)["error"]["code"]) == (expected, code)
