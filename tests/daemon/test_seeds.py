"""The configurations that users were shown serve as they are, but for where things are."""

from __future__ import annotations

import asyncio
import json
from asyncio import to_thread
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tests.daemon.test_curl import curl
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.daemon import Daemon
from tests.fakes.gemini import FakeGemini
from tests.fakes.openai import FakeOpenAI
from tests.fakes.ports import free_port
from tests.fakes.upstream import FakeUpstream

SEEDS = Path(__file__).parents[1] / "config" / "seeds"
SECRET = "sk-from-the-environment"
VARIABLES = (
    *("OPENAI_KEY_1", "OPENAI_KEY_2", "GEMINI_KEY_1", "CLAUDE_KEY_1", "CUSTOM_KEY_1", "CUSTOM_API_KEY"),
    *("OPENAI_API_KEY", "GEMINI_API_KEY", "REDIS_PASSWORD"),
)
ENVIRONMENT = {**dict.fromkeys(VARIABLES, SECRET), "ADMIN_KEY": "admin-secret"}


@pytest.fixture
async def fakes() -> AsyncIterator[Mapping[str, FakeUpstream]]:
    """A fake for each type of provider, with the models that the documents name."""
    openai, claude, gemini = FakeOpenAI(), FakeAnthropic(), FakeGemini()
    openai.models = ("gpt-4o", "gpt-4", "custom-model", "my-model")
    claude.models, gemini.models = ("claude-3-opus",), ("gemini-1.5-pro",)
    async with openai, claude, gemini:
        for fake in (openai, claude, gemini):
            fake.keys = {SECRET, "sk-your-key"}
        yield {"openai": openai, "custom": openai, "claude": claude, "gemini": gemini}


@asynccontextmanager
async def seed(name: str, fakes: Mapping[str, FakeUpstream], folder: Path) -> AsyncIterator[Daemon]:
    """The configuration ``name``, with every base URL pointing at the fake of its provider's type."""
    config = yaml.safe_load((SEEDS / f"{name}.yaml").read_text())
    for provider in config.get("llm_providers") or config["providers"]:
        version = "/v1" if provider["base_url"].endswith("/v1") else ""
        provider["base_url"] = fakes[provider.get("type", "openai")].url + version
    if runtime := config.get("storage", {}).get("runtime"):
        async with redis(folder) as runtime["addr"], Daemon(config, folder, env=ENVIRONMENT) as daemon:
            yield daemon
    else:
        async with Daemon(config, folder, env=ENVIRONMENT) as daemon:
            yield daemon


@asynccontextmanager
async def redis(folder: Path) -> AsyncIterator[str]:
    """The address of a Redis server of our own."""
    port = free_port()
    arguments = ("--port", str(port), "--bind", "127.0.0.1", "--requirepass", SECRET, "--save", "")
    process = await asyncio.create_subprocess_exec(
        *("redis-server", *arguments, "--dir", str(folder)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        while b"Ready to accept" not in (line := await process.stdout.readline()):
            assert line, "Redis did not start"
        yield f"localhost:{port}"
    finally:
        process.terminate()
        await process.communicate()


async def chat(daemon: Daemon, model: str, key: str | None = None, *texts: str) -> tuple[int, Any]:
    """Status and text, or error code, of a chat in which user and assistant said ``texts`` in turn."""
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts or ("Hello",))]
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    url, body = f"{daemon.url}/v1/chat/completions", {"model": model, "messages": messages}
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as response:
        answer = await response.json()
    if response.status == 200:
        return 200, answer["choices"][0]["message"]["content"]
    return response.status, answer["error"]["code"]


async def test_overview(fakes: Mapping[str, FakeUpstream], tmp_path: Path) -> None:
    async with seed("overview", fakes, tmp_path) as daemon:
        for model in ("openai:gpt-4o", "openai-prod:gpt-4o", "gpt-4o"):
            body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
            for prefix in ("", "/api"):
                url = f"{daemon.url}{prefix}/v1/chat/completions"
                key = "Authorization: Bearer your-key"
                answer = json.loads(await curl("-X", "POST", url, "-H", key, "-d", body))
                assert answer["choices"][0]["message"]["content"] == "Echo: Hello"
                usage = answer["usage"]
                cost = usage["prompt_tokens"] * 0.002 / 1000 + usage["completion_tokens"] * 0.01 / 1000
                assert usage["cost"] == pytest.approx(cost)


async def test_readme_local(fakes: Mapping[str, FakeUpstream], tmp_path: Path) -> None:
    async with seed("readme-local", fakes, tmp_path) as daemon:
        assert await chat(daemon, "gpt-4o") == (200, "Echo: Hello")
        assert await chat(daemon, "gpt-4o", None, "Hi", "Hello!", "And?") == (200, "Echo: And?")
        assert await chat(daemon, "gemini-pro") == (200, "Echo: Hello")
        assert await chat(daemon, "gemini:gemini-1.5-pro") == (200, "Echo: Hello")
        langchain = ChatOpenAI(model="gpt-4o", base_url=f"{daemon.url}/v1", api_key=SecretStr("made-up"))
        assert (await to_thread(langchain.invoke, "Hello")).content == "Echo: Hello"


async def test_readme_full(fakes: Mapping[str, FakeUpstream], tmp_path: Path) -> None:
    async with seed("readme-full", fakes, tmp_path) as daemon:
        for key, model, expected in [
            ("client-a-key", "gpt-4o", (200, "Echo: Hello")),
            ("client-a-key", "gemini-pro", (403, "provider_not_allowed")),
            ("client-a-key", "gemini-prod:gemini-1.5-pro", (403, "provider_not_allowed")),
            ("premium-key", "gemini-pro", (200, "Echo: Hello")),
            ("test-key", "gemini-pro", (200, "Echo: Hello")),
            ("test-key", "claude-opus", (404, "model_not_found")),
            ("client-a-key", "claude-opus", (404, "model_not_found")),
            ("made-up", "gpt-4o", (401, "invalid_api_key")),
            (None, "gpt-4o", (401, "invalid_api_key")),
        ]:
            assert await chat(daemon, model, key) == expected
        config = (
            await curl(f"{daemon.url}/admin/v1/config", "-H", "Authorization: Bearer admin-secret")
        ).decode()
        assert json.loads(config) and "openai-prod" in config
        for secret in (SECRET, "admin-secret", "client-a-key", "premium-key", "test-key"):
            assert secret not in config
        assert SECRET not in daemon.stderr and "client-a-key" not in daemon.stderr
    assert (tmp_path / "logs" / "coo-llm.log").exists()


async def test_providers(fakes: Mapping[str, FakeUpstream], tmp_path: Path) -> None:
    async with seed("providers", fakes, tmp_path) as daemon:
        for model in (
            "claude-prod:claude-3-opus",
            "custom-dev:custom-model",
            "my-custom:my-model",
            "my-model",
            "claude-3-opus",
        ):
            assert await chat(daemon, model) == (200, "Echo: Hello"), model
    assert {request.path for request in fakes["custom"].requests} == {"/v1/chat/completions"}


async def test_truckllm(fakes: Mapping[str, FakeUpstream], tmp_path: Path) -> None:
    async with seed("truckllm", fakes, tmp_path) as daemon:
        assert await chat(daemon, "gpt-4") == (200, "Echo: Hello")
        assert await chat(daemon, "openai:gpt-4") == (200, "Echo: Hello")
    assert "providers" in daemon.stderr
