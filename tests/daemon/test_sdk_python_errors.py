"""What goes wrong, as OpenAI's Python SDK tells its user, and how often the SDK asks again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.clients.world import CHAT, KINDS, World, serving
from tests.daemon.running import KEY
from tests.fakes.upstream import Fault

each_provider = pytest.mark.parametrize("kind", KINDS)

TOO_LONG = {
    "openai": {
        "error": {
            "message": "This model's maximum context length is 128000 tokens.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
    },
    "claude": {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "prompt is too long: 250000 tokens > 200000 maximum",
        },
    },
    "gemini": {
        "error": {
            "code": 400,
            "message": "The input token count (1200000) exceeds the maximum number of tokens allowed.",
            "status": "INVALID_ARGUMENT",
        }
    },
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clients = [
        {"id": "one", "key": KEY},
        {"id": "slow", "key": "slow-key", "limits": {"req_per_min": 1}},
        {"id": "few", "key": "few-key", "allowed_models": ["claude-*"]},
    ]
    policy = {"retry": {"max_attempts": 3, "interval": "1ms"}}
    async with serving(tmp_path, api_keys=clients, policy=policy) as world:
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(**world.settings) as client:
        yield client


async def chat(client: AsyncOpenAI, model: str, **asked: Any) -> Any:
    return await client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Hello"}], **asked
    )


@each_provider
async def test_the_prompt_is_too_long(kind: str, world: World, client: AsyncOpenAI) -> None:
    world.fakes[kind].script.append(Fault(400, body=json.dumps(TOO_LONG[kind]).encode()))
    with pytest.raises(openai.BadRequestError, match="max") as caught:
        await chat(client, CHAT[kind])
    assert (caught.value.code, caught.value.type) == ("context_length_exceeded", "invalid_request_error")
    assert len(world.fakes[kind].requests) == 1


@each_provider
async def test_a_rate_limit_of_the_provider_is_not_asked_for_again(
    kind: str, world: World, client: AsyncOpenAI
) -> None:
    world.fakes[kind].script += [Fault(429, headers={"retry-after": "7"})] * 5
    with pytest.raises(openai.RateLimitError) as caught:
        await chat(client, CHAT[kind])
    assert caught.value.code == "upstream_rate_limited"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 34
    assert len(world.fakes[kind].requests) == 1


@each_provider
async def test_a_conflict_is_not_asked_for_again(kind: str, world: World, client: AsyncOpenAI) -> None:
    world.fakes[kind].script += [Fault(409)] * 5
    with pytest.raises(openai.ConflictError):
        await chat(client, CHAT[kind])
    assert len(world.fakes[kind].requests) == 1


@each_provider
async def test_a_failing_provider_is_asked_as_often_as_the_gateway_is_told_to(
    kind: str, world: World, client: AsyncOpenAI
) -> None:
    world.fakes[kind].script += [Fault(500)] * 9
    for stream in (False, True):
        world.fakes[kind].requests.clear()
        with pytest.raises(openai.InternalServerError) as caught:
            await chat(client, CHAT[kind], stream=stream)
        assert (caught.value.status_code, caught.value.code) == (502, "upstream_error")
        assert caught.value.response.headers["x-should-retry"] == "false"
        assert len(world.fakes[kind].requests) == 3


@each_provider
async def test_a_provider_that_recovers_is_not_noticed(kind: str, world: World, client: AsyncOpenAI) -> None:
    world.fakes[kind].script += [Fault(500)] * 2
    raw = await client.chat.completions.with_raw_response.create(
        model=CHAT[kind], messages=[{"role": "user", "content": "Hello"}]
    )
    assert raw.parse().choices[0].message.content == "Echo: Hello"
    assert (raw.headers["x-coo-attempts"], raw.retries_taken) == ("3", 0)


@each_provider
async def test_the_gateways_own_key_is_no_concern_of_the_client(
    kind: str, world: World, client: AsyncOpenAI
) -> None:
    world.fakes[kind].keys.clear()
    with pytest.raises(openai.InternalServerError) as caught:
        await chat(client, CHAT[kind])
    assert caught.value.code == "upstream_auth_error"
    assert "good-key" not in caught.value.response.text
    assert len(world.fakes[kind].requests) == 1


@each_provider
async def test_a_model_that_the_provider_does_not_have(kind: str, client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await chat(client, f"{kind}:no-such-model")
    assert caught.value.code == "model_not_found"
    assert caught.value.response.headers["x-coo-provider"] == kind


async def test_a_model_that_the_gateway_does_not_have(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no-such-model") as caught:
        await chat(client, "no-such-model")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("no-such-model")


async def test_a_wrong_key(world: World) -> None:
    async with AsyncOpenAI(**{**world.settings, "api_key": "wrong"}) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await chat(client, CHAT["openai"])
        assert caught.value.code == "invalid_api_key"
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()


async def test_a_client_beyond_its_own_limit(world: World) -> None:
    async with AsyncOpenAI(**{**world.settings, "api_key": "slow-key"}, max_retries=0) as client:
        await chat(client, CHAT["openai"])
        with pytest.raises(openai.RateLimitError) as caught:
            await chat(client, CHAT["openai"])
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "rate_limit_error")
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 60
    assert "x-should-retry" not in caught.value.response.headers


async def test_a_model_that_a_client_may_not_use(world: World) -> None:
    async with AsyncOpenAI(**{**world.settings, "api_key": "few-key"}) as client:
        await chat(client, CHAT["claude"])
        with pytest.raises(openai.PermissionDeniedError) as caught:
            await chat(client, CHAT["openai"])
        assert caught.value.code == "model_not_allowed"
        listed = [model.id async for model in client.models.list()]
    assert listed and all("claude" in name for name in listed)


async def test_a_request_that_makes_no_sense(world: World, client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await chat(client, CHAT["openai"], temperature=3)
    assert (caught.value.code, caught.value.param) == ("invalid_value", "temperature")
    with pytest.raises(openai.BadRequestError) as caught:
        await chat(client, CHAT["openai"], extra_body={"api_base": "http://example.com"})
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "api_base")
    assert not world.fakes["openai"].requests
    with pytest.raises(openai.BadRequestError, match="made_up") as caught:  # OpenAI's own opinion
        await chat(client, CHAT["openai"], extra_body={"made_up": 1})
