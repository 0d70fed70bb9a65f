"""OpenAI's SDK for Node.js against every provider."""

from __future__ import annotations

import asyncio
import fcntl
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.clients.world import CHAT, EMBEDDING, KINDS, THINKING, World, serving
from tests.daemon.running import KEY
from tests.fakes.upstream import Fault

PROGRAMS = Path(sys.executable).parent
"""Where the package that brings Node.js puts it."""
SOURCES = Path(__file__).parents[1] / "clients" / "node"
INSTALLED = Path(__file__).parents[2] / "build" / "node"

pytestmark = pytest.mark.asyncio(loop_scope="module")
each_provider = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="session")
def scenarios() -> Path:
    """The script of scenarios, with the SDK installed beside it; installed once for many runs."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (SOURCES / "package.json").read_bytes()
        stamp = INSTALLED / ".installed"
        if not stamp.exists() or stamp.read_bytes() != wanted:
            shutil.copy(SOURCES / "package.json", INSTALLED)
            options = ("--no-package-lock", "--no-audit", "--no-fund")
            subprocess.run([PROGRAMS / "npm", "install", *options], cwd=INSTALLED, check=True, timeout=100)
            stamp.write_bytes(wanted)
        return Path(shutil.copy(SOURCES / "scenarios.mjs", INSTALLED))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("node")
    async with serving(folder, policy={"retry": {"interval": "1ms"}}) as world:
        yield world


async def run(scenarios: Path, name: str, world: World, model: str, key: str = KEY) -> Any:
    """What the scenario ``name`` prints."""
    process = await asyncio.create_subprocess_exec(
        *(PROGRAMS / "node", scenarios, name, world.settings["base_url"], key, model),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return json.loads(output)


@each_provider
async def test_a_chat(kind: str, scenarios: Path, world: World) -> None:
    assert await run(scenarios, "chat", world, CHAT[kind]) == {
        "text": "Echo: Hello, wörld ",
        "finish": "stop",
        "sum": 0,
        "id": True,
    }


@each_provider
async def test_streams(kind: str, scenarios: Path, world: World) -> None:
    text = "Echo: Hello, wörld 👋"
    world.fakes[kind].cut = 7
    assert await run(scenarios, "stream", world, CHAT[kind]) == {
        "text": text,
        "pieces": True,
        "whole": text,
        "tokens": 5,
    }


@pytest.mark.parametrize("models", [CHAT, THINKING], ids=["plain", "thinking"])
@each_provider
async def test_an_agent(kind: str, models: dict[str, str], scenarios: Path, world: World) -> None:
    said = "Results: sunny in x; noon in x"
    assert await run(scenarios, "agent", world, models[kind]) == {"whole": said, "streamed": said}


@pytest.mark.parametrize("models", [CHAT, THINKING], ids=["plain", "thinking"])
@each_provider
async def test_responses(kind: str, models: dict[str, str], scenarios: Path, world: World) -> None:
    said = "Results: get_weather says yes; get_time says yes"
    assert await run(scenarios, "responses", world, models[kind]) == {
        "calls": ["get_weather", "get_time"],
        "streamed": said,
        "whole": said,
    }


@each_provider
async def test_structured_output(kind: str, scenarios: Path, world: World) -> None:
    assert await run(scenarios, "structured", world, CHAT[kind]) == {"city": "Rome"}


@each_provider
async def test_vision(kind: str, scenarios: Path, world: World) -> None:
    assert await run(scenarios, "vision", world, CHAT[kind]) == "Saw image/png: What is it?"


@pytest.mark.parametrize("kind", EMBEDDING)
async def test_embeddings(kind: str, scenarios: Path, world: World) -> None:
    found = await run(scenarios, "embeddings", world, EMBEDDING[kind])
    assert found["packed"] == found["plain"] and [len(vector) for vector in found["plain"]] == [8, 8]


async def test_models(scenarios: Path, world: World) -> None:
    found = await run(scenarios, "models", world, CHAT["claude"])
    assert set(CHAT.values()) < set(found["listed"]) and found["found"] == CHAT["claude"]


async def test_errors(scenarios: Path, world: World) -> None:
    for model, key, *expected in [
        ("no-such-model", KEY, "NotFoundError", 404, "model_not_found"),
        (CHAT["openai"], "wrong", "AuthenticationError", 401, "invalid_api_key"),
    ]:
        found = await run(scenarios, "error", world, model, key)
        assert [found["kind"], found["status"], found["code"]] == expected


async def test_failures_are_not_multiplied(scenarios: Path, world: World) -> None:
    world.fakes["openai"].requests.clear()
    world.fakes["openai"].script += [Fault(500)] * 3
    found = await run(scenarios, "error", world, CHAT["openai"])
    assert found == {"kind": "InternalServerError", "status": 502, "code": "upstream_error"}
    assert len(world.fakes["openai"].requests) == 3
