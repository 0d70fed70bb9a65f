"""Agents on OpenAI's Python SDK: tool calls and their results, with any provider and from one to another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.clients.world import CHAT, KINDS, THINKING, TOOLS, World, serving

RESULTS = {"get_weather": "sunny", "get_time": "noon"}

each_provider = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving(tmp_path) as world:
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(**world.settings) as client:
        yield client


@asynccontextmanager
async def pooled(folder: Path, *targets: str) -> AsyncIterator[tuple[World, AsyncOpenAI]]:
    """An alias ``pool`` that goes through ``targets`` in turn."""
    aliases, policy = {"pool": list(targets)}, {"algorithm": "round_robin"}
    async with (
        serving(folder, model_aliases=aliases, policy=policy) as world,
        AsyncOpenAI(**world.settings) as client,
    ):
        yield world, client


async def answered(
    client: AsyncOpenAI, model: str, messages: list[Any], *, stream: bool, **asked: Any
) -> Any:
    """The assistant's message as the SDK has it, to go into ``messages`` as it is."""
    asked = {"model": model, "messages": messages, "tools": TOOLS, **asked}
    if not stream:
        return (await client.chat.completions.create(**asked)).choices[0].message
    async with client.chat.completions.stream(**asked) as events:
        message = (await events.get_final_completion()).choices[0].message
    # What the SDK's helper itself adds, OpenAI refuses as well.
    in_calls = {"index": True, "function": {"parsed_arguments"}}
    added: Any = {"parsed": True, "tool_calls": {"__all__": in_calls}}
    return message.model_dump(exclude=added, exclude_none=True)


def results(message: Any) -> list[Any]:
    """The tool messages that answer a message's calls."""
    calls = message["tool_calls"] if isinstance(message, dict) else message.tool_calls
    plain = [call if isinstance(call, dict) else call.to_dict() for call in calls]
    return [
        {"role": "tool", "tool_call_id": call["id"], "content": RESULTS[call["function"]["name"]]}
        for call in plain
    ]


def text(message: Any) -> str:
    return str(message["content"] if isinstance(message, dict) else message.content)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("wish", "said"), [("use tool", "sunny"), ("use tools", "sunny; noon")])
@pytest.mark.parametrize("models", [CHAT, THINKING], ids=["plain", "thinking"])
@each_provider
async def test_a_loop_of_two_rounds(
    kind: str, models: dict[str, str], wish: str, said: str, stream: bool, client: AsyncOpenAI
) -> None:
    messages: list[Any] = [{"role": "system", "content": "Help."}]
    for _ in range(2):
        messages.append({"role": "user", "content": wish})
        message = await answered(client, models[kind], messages, stream=stream)
        messages += [message, *results(message)]
        message = await answered(client, models[kind], messages, stream=stream)
        assert text(message) == f"Results: {said}"
        messages.append(message)


@each_provider
async def test_the_clients_choice_among_tools(kind: str, client: AsyncOpenAI) -> None:
    hello: list[Any] = [{"role": "user", "content": "Hello"}]
    named = {"type": "function", "function": {"name": "get_time"}}
    for choice, expected in [
        ("none", []),
        ("auto", []),
        ("required", ["get_weather"]),
        (named, ["get_time"]),
    ]:
        message = await answered(client, CHAT[kind], hello, stream=False, tool_choice=choice)
        assert [call.function.name for call in message.tool_calls or ()] == expected


@each_provider
async def test_one_call_at_a_time(kind: str, client: AsyncOpenAI) -> None:
    tools: list[Any] = TOOLS
    raw = await client.chat.completions.with_raw_response.create(
        model=CHAT[kind],
        messages=[{"role": "user", "content": "use tools"}],
        tools=tools,
        parallel_tool_calls=False,
    )
    calls = raw.parse().choices[0].message.tool_calls
    assert calls is not None
    if kind == "gemini":  # which cannot be told so
        assert "parallel_tool_calls" in raw.headers["x-coo-dropped-params"]
    else:
        assert len(calls) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("models", [CHAT, THINKING], ids=["plain", "thinking"])
@pytest.mark.parametrize("first", KINDS)
async def test_a_conversation_goes_from_one_provider_to_another_and_back(
    first: str, models: dict[str, str], stream: bool, client: AsyncOpenAI
) -> None:
    """Each takes over in the middle of a loop as well as between questions."""
    others = [kind for kind in KINDS if kind != first]
    messages: list[Any] = []
    for asked, told in [(first, others[0]), (others[0], others[1]), (others[1], first), (first, first)]:
        messages.append({"role": "user", "content": "use tools"})
        message = await answered(client, models[asked], messages, stream=stream)
        messages += [message, *results(message)]
        message = await answered(client, models[told], messages, stream=stream)
        assert text(message) == "Results: sunny; noon"
        messages.append(message)


async def test_an_agent_on_a_pool_of_all_providers(tmp_path: Path) -> None:
    async with pooled(tmp_path, *THINKING.values()) as (world, client):
        messages: list[Any] = []
        for _ in range(4):
            messages.append({"role": "user", "content": "use tool"})
            message = await answered(client, "pool", messages, stream=False)
            messages += [message, *results(message)]
            message = await answered(client, "pool", messages, stream=False)
            messages.append(message)
            assert text(message) == "Results: sunny"
        counts = [len(fake.requests) for fake in world.fakes.values()]
        assert all(counts) and sum(counts) == 8  # nobody had to stand in for another


async def test_an_agent_on_a_pool_of_models_that_sign_for_themselves(tmp_path: Path) -> None:
    async with pooled(tmp_path, "gemini:gemini-3-pro", "gemini:gemini-3-flash") as (world, client):
        messages: list[Any] = [{"role": "user", "content": "use tool"}]
        message = await answered(client, "pool", messages, stream=False)
        messages += [message, *results(message)]
        assert text(await answered(client, "pool", messages, stream=False)) == "Results: sunny"
        models = {request.path.partition(":")[0] for request in world.fakes["gemini"].requests}
        assert models == {"/v1beta/models/gemini-3-pro", "/v1beta/models/gemini-3-flash"}
