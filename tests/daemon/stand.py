"""The stand that bad requests are tried on: a daemon of its own process, and an upstream that records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest_asyncio
from pytest import TempPathFactory

from tests.daemon.raw import Answer, Fields, Peer, connected, exchange, message
from tests.fakes.daemon import Daemon
from tests.fakes.nasty import NastyServer, RawRequest, Step
from tests.fakes.steps import answer, stream

KEY = "sk-client-key-of-the-tests"
ADMIN = "admin-key-of-the-tests-0123"
BEARER: Fields = (("Authorization", f"Bearer {KEY}"),)
CHAT = "POST /v1/chat/completions"
HELLO: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
EMBEDDING = orjson.dumps(
    {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
)
MAX_ECHO = 64
"""Characters of its input that an error may repeat."""


class Willing(NastyServer):
    """Gives everyone what was asked for, unless its script says otherwise."""

    def entry(self, request: RawRequest) -> tuple[Step, ...]:
        if scripted := super().entry(request):
            return scripted
        if request.json().get("stream"):
            return stream()
        return answer(200, EMBEDDING if request.target.endswith("/embeddings") else None)


class Stand:
    """A gateway with one client, whose requests are counted, in front of a recording upstream."""

    def __init__(self, daemon: Daemon, upstream: NastyServer) -> None:
        self.daemon = daemon
        self.upstream = upstream

    @property
    def port(self) -> int:
        return self.daemon.port

    async def remaining(self) -> int:
        """Send a request that must succeed; how many the client has left after it."""
        got = await exchange(self.port, chat())
        assert got.status == 200, got
        return int(got.headers["x-ratelimit-remaining-requests"])

    @asynccontextmanager
    async def unmoved(self) -> AsyncIterator[None]:
        """What happens inside reaches no upstream, takes no request of the client, and does no harm."""
        before, sent = await self.remaining(), len(self.upstream.requests)
        yield
        assert len(self.upstream.requests) == sent
        assert await self.remaining() == before - 1

    async def refuses(self, data: bytes, status: int, code: str, *, to: str = "GET") -> Answer:
        """Send ``data`` and expect to be refused like this, at no cost; the answer."""
        async with self.unmoved(), connected(self.port) as peer:
            await peer.send(data)
            got = await peer.answer(to=to)
            check_refusal(got, status, code)
            check_echo(got, data)
            await check_end(peer, got)
        return got


def chat(body: object = HELLO, headers: Fields = ()) -> bytes:
    """A chat request of the client; ``body`` is JSON unless it is bytes."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return message(CHAT, [*BEARER, *headers], raw)


def check_refusal(got: Answer, status: int, code: str) -> None:
    """The answer is an error with this status and code, in the one shape there is."""
    assert got.status == status, got
    assert got.headers["content-type"] == "application/json"
    assert got.headers["x-request-id"]
    assert set(got.error) - {"details"} == {"message", "type", "param", "code"}
    assert got.error["code"] == code, got
    assert got.error["message"].isprintable()


def check_echo(got: Answer, sent: bytes) -> None:
    """No run of the sent bytes longer than `MAX_ECHO` comes back."""
    said = got.error["message"].encode()
    step = MAX_ECHO + 1
    for at in range(len(said) - step + 1):
        assert said[at : at + step] not in sent


async def check_end(peer: Peer, got: Answer) -> None:
    """A connection that was said to end does, and nothing comes after the answer."""
    if got.headers.get("connection") == "close":
        assert await peer.closed() == b""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stand(tmp_path_factory: TempPathFactory) -> AsyncIterator[Stand]:
    """One stand for all tests of a module, which run in the module's loop."""
    folder: Path = tmp_path_factory.mktemp("stand")
    async with Willing() as upstream:
        config = {
            "server": {"admin_api_key": ADMIN, "max_body_mb": 4, "max_inflight": 1000},
            "logging": {"audit": {"enabled": False}},
            "llm_providers": [
                {
                    "id": "up",
                    "type": "openai",
                    "api_keys": ["upstream-secret-key"],
                    "base_url": upstream.url,
                    "models": ["gpt-4o", "text-embedding-3-small"],
                }
            ],
            "policy": {"retry": {"interval": "1ms"}},
            "model_aliases": {"smart": ["up:gpt-4o"]},
            "api_keys": [
                {"id": "one", "key": KEY, "limits": {"req_per_min": 1_000_000}},
                {"id": "narrow", "key": "sk-narrow", "allowed_models": ["other"]},
                {"id": "foreign", "key": "sk-foreign", "allowed_providers": ["other"]},
                {"id": "late", "key": "sk-late", "expires_at": "2020-01-01T00:00:00Z"},
            ],
        }
        config["llm_providers"].append(  # type: ignore[attr-defined]
            {"id": "other", "type": "echo", "model": "other"}
        )
        async with Daemon(config, folder) as daemon:
            yield Stand(daemon, upstream)
