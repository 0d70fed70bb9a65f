"""The way down, in a process of its own: drain, hurry, and what the service manager is told."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.server import LATECOMERS
from gateway_stores.memory import MemoryConfigStore
from tests.daemon.manager import managing
from tests.daemon.raw import connected, message
from tests.daemon.running import HELLO, KEY, configured, events_of, running, text_of
from tests.fakes.daemon import Daemon
from tests.fakes.nasty import NastyServer
from tests.fakes.steps import stall

HEADERS = {"authorization": f"Bearer {KEY}"}
WORDS = "one two three four five six seven eight nine ten"
CHAT = json.dumps({"model": "m", "messages": HELLO}).encode()
LOG = {"file": {"path": "coo-llm.log"}}


def config(drain: str, token_ms: float, **sections: Any) -> dict[str, Any]:
    echo = {"id": "up", "type": "echo", "model": "m", "reply": WORDS, "token_ms": token_ms}
    return configured(echo, **{"server": {"drain_timeout": drain}, "logging": LOG, **sections})


@asynccontextmanager
async def streaming(daemon: Daemon) -> AsyncIterator[aiohttp.ClientResponse]:
    """A stream whose first event has come."""
    async with aiohttp.ClientSession(daemon.url, headers=HEADERS) as session:
        body = {"model": "m", "messages": HELLO, "stream": True}
        async with session.post("/v1/chat/completions", json=body) as response:
            await response.content.readuntil(b"\n\n")
            yield response


def requests_logged(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "coo-llm.log").read_text().splitlines()]
    return [line for line in lines if line["message"] == "request"]


async def closed(daemon: Daemon) -> None:
    """Wait until it takes no new connections."""
    for _ in range(1000):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
        except OSError:
            return
        writer.close()
        await asyncio.sleep(0.01)
    raise AssertionError("it still listens")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_streams_end_and_records_are_written(tmp_path: Path, number: signal.Signals) -> None:
    async with Daemon(config("10s", 40), tmp_path) as daemon:
        async with aiohttp.ClientSession(daemon.url) as kept, streaming(daemon) as response:
            async with kept.get("/readyz") as ready:
                assert ready.status == 200
            daemon.signal(number)
            await closed(daemon)
            async with kept.get("/readyz") as ready:  # on the connection it has
                assert (ready.status, (await ready.json())["status"]) == (503, "draining")
                assert ready.headers["connection"] == "close"
            events = events_of(await response.read())
            assert events[-1] == "[DONE]"
            assert text_of(events) in WORDS
        assert await daemon.wait() == 0
    [streamed] = (line for line in requests_logged(tmp_path) if line["stream"])
    assert (streamed["status"], streamed["partial"], streamed["output_tokens"]) == (200, False, 10)


async def test_a_stream_that_takes_too_long_ends_with_one_error_event(tmp_path: Path) -> None:
    async with Daemon(config("100ms", 200), tmp_path) as daemon:
        async with streaming(daemon) as response:
            daemon.signal(signal.SIGTERM)
            body = await response.read()
        assert await daemon.wait() == 0
    events = events_of(body)
    assert body.count(b"HTTP/1.1") == 0
    assert "[DONE]" not in events
    assert [event["error"]["code"] for event in events if "error" in event] == ["draining"]
    [record] = requests_logged(tmp_path)
    assert (record["status"], record["error"], record["partial"]) == (200, "draining", True)
    assert record["estimated"] is True
    assert 0 < record["output_tokens"] < 10


async def test_a_whole_answer_that_takes_too_long_is_refused(tmp_path: Path) -> None:
    async with NastyServer((stall(),)) as upstream:
        up = {"id": "up", "type": "custom", "base_url": upstream.url, "model": "m"}
        async with Daemon({**config("100ms", 0), "llm_providers": [up]}, tmp_path) as daemon:
            async with aiohttp.ClientSession(daemon.url, headers=HEADERS) as session:
                body = {"model": "m", "messages": HELLO}
                waiting = asyncio.create_task(session.post("/v1/chat/completions", json=body).__aenter__())
                await upstream.arrived(1)
                daemon.signal(signal.SIGTERM)
                response = await waiting
                assert (response.status, (await response.json())["error"]["code"]) == (503, "draining")
            assert await daemon.wait() == 0
    assert [line["error"] for line in requests_logged(tmp_path)] == ["draining"]


@pytest.mark.parametrize("slow_sink", [False, True])
async def test_the_second_signal_hurries(tmp_path: Path, slow_sink: bool) -> None:
    async with NastyServer((stall(),)) as hook:
        sink = {"type": "webhook", "endpoint": f"{hook.url}/", "batch": {"enabled": False}}
        logging = {**LOG, "providers": [sink] if slow_sink else []}
        async with (
            Daemon(config("60s", 500, logging=logging), tmp_path) as daemon,
            streaming(daemon) as response,
        ):
            daemon.signal(signal.SIGTERM)
            await closed(daemon)
            daemon.signal(signal.SIGTERM)
            async with asyncio.timeout(2):
                assert b'"draining"' in await response.read()
                assert await daemon.wait() == 0


class Lingering(MemoryConfigStore):
    """A store that never has done with closing."""

    async def close(self) -> None:
        await asyncio.Event().wait()


async def test_what_is_never_closed_is_left_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.daemon.CLOSING", 2.0)
    quiet = {"file": {"enabled": False}, "audit": {"enabled": False}}
    echo = config("1s", 0, logging=quiet)
    async with asyncio.timeout(10), running(echo, tmp_path, config_store=Lingering()) as gateway:
        assert (await gateway.ask())[0] == 200


async def test_sighup_never_kills(tmp_path: Path) -> None:
    async with Daemon(config("1s", 0), tmp_path) as daemon:
        for _ in range(20):
            daemon.signal(signal.SIGHUP)
            await asyncio.sleep(0.005)
        assert await daemon.ready()
        async with streaming(daemon) as response:
            daemon.signal(signal.SIGTERM)
            for _ in range(20):
                daemon.signal(signal.SIGHUP)
            await response.read()
        assert await daemon.wait() == 0


async def test_what_the_service_manager_is_told(tmp_path: Path) -> None:
    async with (
        managing(tmp_path) as manager,
        Daemon(config("10s", 40), tmp_path, env=manager.environ) as daemon,
    ):
        async with streaming(daemon) as response:
            daemon.signal(signal.SIGTERM)
            await manager.hears("STOPPING=1")
            await manager.hears_again("WATCHDOG=1")  # also while it drains
            await response.read()
        assert await daemon.wait() == 0


async def test_who_had_connected_before_is_answered_once(tmp_path: Path) -> None:
    """A client cannot know that the gateway stops listening between its connection and its request."""
    request = message("POST /v1/chat/completions", tuple(HEADERS.items()), CHAT)
    async with Daemon(config("10s", 40), tmp_path) as daemon:
        async with streaming(daemon) as response, connected(daemon.port) as early:
            assert await daemon.ready()  # over a later connection: the early one was taken in
            daemon.signal(signal.SIGTERM)
            await closed(daemon)
            await early.send(request)
            answer = await early.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await early.closed() == b""
            await response.read()
        assert await daemon.wait() == 0


async def test_who_was_just_answered_is_answered_once_more(tmp_path: Path) -> None:
    """The next request may be on its way, and the client cannot know that it should not be."""
    request = message("POST /v1/chat/completions", tuple(HEADERS.items()), CHAT)
    async with Daemon(config("10s", 40), tmp_path) as daemon:
        async with streaming(daemon) as response, connected(daemon.port) as kept:
            await kept.send(request)
            assert (await kept.answer()).status == 200
            daemon.signal(signal.SIGTERM)
            await closed(daemon)
            await kept.send(request)
            answer = await kept.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await kept.closed() == b""
            await response.read()
        assert await daemon.wait() == 0


async def test_idle_connections_are_closed_while_streams_run(tmp_path: Path) -> None:
    request = message("GET /livez")
    async with Daemon(config("10s", 300), tmp_path) as daemon:
        async with streaming(daemon) as response, connected(daemon.port) as kept:
            await kept.send(request)
            assert (await kept.answer()).status == 200
            await asyncio.sleep(LATECOMERS)
            daemon.signal(signal.SIGTERM)
            assert await kept.closed() == b""
            assert events_of(await response.read())[-1] == "[DONE]"  # it was not waited for
        assert await daemon.wait() == 0


async def test_who_had_a_stream_is_answered_once_more(tmp_path: Path) -> None:
    """The stream's head could not say that it would be the last."""
    async with Daemon(config("10s", 40), tmp_path) as daemon:
        async with aiohttp.ClientSession(daemon.url, headers=HEADERS) as session:
            body = {"model": "m", "messages": HELLO}
            async with session.post("/v1/chat/completions", json={**body, "stream": True}) as response:
                await response.content.readuntil(b"\n\n")
                daemon.signal(signal.SIGTERM)
                await closed(daemon)
                await response.read()
            async with session.post("/v1/chat/completions", json=body) as response:
                assert (response.status, response.headers["connection"]) == (200, "close")
        assert await daemon.wait() == 0
