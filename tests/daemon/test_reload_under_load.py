"""A hundred edits of the configuration while requests and streams run: nobody notices."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.api import Filter
from gateway.config import watch
from gateway.config.read import read
from gateway.registry import Registry
from tests.daemon.running import ADMIN_KEY, Gateway, configured, running, text_of, until
from tests.fakes.openai import FakeOpenAI

EDITS = 100
CHATS = 6
STREAMS = 3
BROKEN = ("", "llm_providers: [", "server: {lisen: x}\n", "llm_providers: [{type: echo, token_ms: soon}]\n")


def edition(number: int, url: str) -> dict[str, Any]:
    """The configuration as it is after the edit of this number: keys come and go, one stays, limited."""
    stays = {"id": "stays", "key": "good-key", "limits": {"req_per_min": 60}}
    comes = {"id": f"comes-{number}", "key": "good-key"}
    host = ("127.0.0.1", "localhost")[number % 2]  # another origin each time, for the connections' sake
    up = {
        "id": "up",
        "type": "openai",
        "base_url": url.replace("127.0.0.1", host),
        "model": "gpt-4o",
        "api_keys": [comes, stays] if number % 3 else [stays, comes],
    }
    slow = {"id": "slow", "type": "echo", "model": "echo", "token_ms": 2, "reply": "one two three four five"}
    return configured(
        up,
        slow,
        server={"admin_api_key": ADMIN_KEY, "drain_timeout": 1 + number},
        model_aliases={f"n{number}": "up:gpt-4o"},
        policy={"algorithm": ("hybrid", "round_robin", "least_loaded")[number % 3]},
    )


def lists(gateway: Gateway, name: str) -> bool:
    return name in gateway.live.current.catalog.names()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@asynccontextmanager
async def load(gateway: Gateway) -> AsyncIterator[list[str]]:
    """Chats and streams, one after the other on several connections; gives what went wrong."""
    wrong: list[str] = []
    served = 0
    over = asyncio.Event()

    async def chats() -> None:
        nonlocal served
        while not over.is_set():
            status, answer, _ = await gateway.ask(model="gpt-4o")
            served += 1
            if status != 200:
                wrong.append(f"{status}: {answer}")

    async def streams() -> None:
        nonlocal served
        while not over.is_set():
            status, events, _ = await gateway.stream(model="echo")
            served += 1
            if (status, text_of(events), events[-1]) != (200, "one two three four five", "[DONE]"):
                wrong.append(f"{status}: {events}")

    workers = [asyncio.create_task(work()) for work in (*[chats] * CHATS, *[streams] * STREAMS)]
    try:
        yield wrong
    finally:
        over.set()
        await asyncio.gather(*workers)
        assert served > EDITS


@pytest.fixture
def quick_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_SETTLE", 0.02)


@pytest.mark.usefixtures("quick_watch")
async def test_a_hundred_edits_under_load(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    first = edition(0, fake_openai.url)
    async with running(first, tmp_path) as gateway:
        known = Registry.discover().known()
        valid = {gateway.live.current.version}
        async with load(gateway) as wrong:
            for number in range(1, EDITS + 1):
                if number % 4 == 0:
                    gateway.path.write_text(BROKEN[number // 4 % len(BROKEN)])
                else:
                    gateway.write(edition(number, fake_openai.url))
                    valid.add(read(gateway.path, {}, known).version)
                if number % 10 == 9:
                    await until(partial(lists, gateway, f"n{number}"))
                else:
                    os.kill(os.getpid(), signal.SIGHUP)
                await asyncio.sleep(0.005)
        assert wrong == []
        records = await gateway.live.store.requests(Filter(), 100_000)
        versions = {record.config_version for record in records}
        assert versions <= valid
        assert len(versions) > 10


async def test_nothing_is_left_behind(fake_openai: FakeOpenAI, tmp_path: Path) -> None:
    async with running(edition(0, fake_openai.url), tmp_path) as gateway:

        async def edit_under_load(numbers: range) -> None:
            async with load(gateway) as wrong:
                for number in numbers:
                    gateway.write(edition(number, fake_openai.url))
                    assert (await gateway.post_reload())[0] == 200
            assert wrong == []

        files, tasks = open_files(), len(asyncio.all_tasks())
        state = gateway.live.memory.keys["key:up/stays"]
        await edit_under_load(range(1, 61))
        assert state in [key.state for key in gateway.live.current.catalog.services["up"].keys]
        gateway.write(configured({"id": "slow", "type": "echo"}))  # without the upstream, nor its connections
        assert (await gateway.post_reload())[0] == 200
        await until(lambda: open_files() <= files and len(asyncio.all_tasks()) <= tasks)


@pytest.mark.usefixtures("quick_watch")
async def test_a_limit_is_not_forgotten_by_a_storm(tmp_path: Path) -> None:
    limited = {"id": "up", "type": "echo", "model": "m", "limits": {"req_per_min": 60}}
    config = configured(limited, server={"admin_api_key": ADMIN_KEY})
    async with running(config, tmp_path) as gateway:
        served = 0
        for number in range(80):
            text = "broken: [" if number % 3 == 0 else yaml.safe_dump({**gateway.config, **_named(number)})
            gateway.path.write_text(text)
            os.kill(os.getpid(), signal.SIGHUP)
            served += (await gateway.ask())[0] == 200
        assert served == 60


def _named(number: int) -> dict[str, Any]:
    return {"model_aliases": {f"n{number}": "up:m"}}
