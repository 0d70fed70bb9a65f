"""Anthropic's Python SDK against every provider: messages, streams, tools, media, thinking, counting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from anthropic import AsyncAnthropic, BadRequestError

from gateway.api import Record
from tests.clients.world import CHAT, KINDS, THINKING, World, serving
from tests.daemon.running import KEY, until

HELLO: list[Any] = [{"role": "user", "content": "Hello, wörld 👋"}]
PIXEL = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ="}
_CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS: list[Any] = [
    {"name": name, "description": "About a city.", "input_schema": _CITY}
    for name in ("get_weather", "get_time")
]

each_provider = pytest.mark.parametrize("kind", KINDS)
translated = pytest.mark.parametrize("kind", ["openai", "gemini"])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving(tmp_path) as world:
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=world.gateway.url, api_key=KEY) as client:
        yield client


def asking(*blocks: dict[str, Any]) -> list[Any]:
    return [{"role": "user", "content": [*blocks]}]


def essence(message: Any) -> dict[str, Any]:
    """What a client reads in a message, whole or put together from a stream, but for made-up ids."""
    content = [block.model_dump(exclude={"id", "signature"}, exclude_none=True) for block in message.content]
    usage = message.usage
    counts = (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens)
    return {
        "model": message.model,
        "role": message.role,
        "content": content,
        "stop": (message.stop_reason, message.stop_sequence),
        "usage": counts,
    }


def sent(world: World, kind: str) -> Any:
    """The body of the last request that the provider got."""
    return world.fakes[kind].requests[-1].json()


async def record(world: World) -> Record:
    return (await world.gateway.records(1))[0]


@each_provider
async def test_a_message(kind: str, client: AsyncAnthropic, world: World) -> None:
    raw = await client.messages.with_raw_response.create(
        model=CHAT[kind], messages=HELLO, max_tokens=100, system="Be brief."
    )
    message = await raw.parse()
    assert [block.model_dump(exclude_none=True) for block in message.content] == [
        {"type": "text", "text": "Echo: Hello, wörld 👋"}
    ]
    assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn")
    assert message.id.startswith("msg_")
    used = message.usage
    cost = used.input_tokens * 0.000001 + used.output_tokens * 0.000002
    assert used.model_extra is not None and used.model_extra["cost"] == pytest.approx(cost)
    assert float(raw.headers["x-coo-cost"]) == pytest.approx(cost)
    assert raw.headers["request-id"] == raw.headers["x-request-id"] == message._request_id
    assert raw.headers["x-coo-provider"] == kind
    written = await record(world)
    assert (written.operation, written.status, written.client) == ("messages", 200, "one")
    assert (written.input_tokens, written.output_tokens) == (used.input_tokens, used.output_tokens)
    assert written.cost_nano_usd == pytest.approx(cost * 1e9)


@pytest.mark.parametrize(
    "asked",
    [
        {"messages": HELLO},
        {"messages": HELLO, "max_tokens": 2},
        {"messages": HELLO, "stop_sequences": ["wörld"]},
        {"messages": [{"role": "user", "content": "use tool"}], "tools": TOOLS},
        {"messages": [{"role": "user", "content": "use tools"}], "tools": TOOLS},
        {"messages": [{"role": "user", "content": "please refuse"}]},
    ],
    ids=["text", "cut off", "stop", "a tool", "tools", "refusal"],
)
@each_provider
async def test_a_stream_says_what_the_whole_message_says(
    kind: str, asked: dict[str, Any], world: World, client: AsyncAnthropic
) -> None:
    world.fakes[kind].cached = 3
    asked = {"model": CHAT[kind], "max_tokens": 100, **asked}
    whole = await client.messages.create(**asked)
    assert whole.usage.model_extra is not None
    for world.fakes[kind].cut in (None, 1, 7):
        async with client.messages.stream(**asked) as stream:
            (last,) = [event.usage async for event in stream if event.type == "message_delta"]
            assert essence(await stream.get_final_message()) == essence(whole)
            assert last.model_extra is not None
            assert last.model_extra["cost"] == whole.usage.model_extra["cost"] > 0
    assert whole.usage.cache_read_input_tokens == 3


@pytest.mark.parametrize("models", [CHAT, THINKING], ids=["plain", "thinking"])
@each_provider
async def test_tools_from_the_call_to_the_answer(
    kind: str, models: dict[str, str], client: AsyncAnthropic
) -> None:
    history: list[Any] = [{"role": "user", "content": "use tools"}]
    asked: dict[str, Any] = {"model": models[kind], "max_tokens": 3000, "tools": TOOLS}
    called = await client.messages.create(messages=history, **asked)
    calls = [block for block in called.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == [
        ("get_weather", {"city": "x"}),
        ("get_time", {"city": "x"}),
    ]
    assert called.stop_reason == "tool_use"
    results = [
        {"type": "tool_result", "tool_use_id": calls[0].id, "content": "sunny"},
        {"type": "tool_result", "tool_use_id": calls[1].id, "content": "no clock", "is_error": True},
    ]
    history += [{"role": "assistant", "content": called.content}, {"role": "user", "content": results}]
    answer = await client.messages.create(messages=history, **asked)
    text = answer.content[-1]
    failed = "no clock" if kind == "claude" else "Error: no clock"
    assert text.type == "text" and text.text == f"Results: sunny; {failed}"


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"type": "auto"}, ["get_weather", "get_time"]),
        ({"type": "auto", "disable_parallel_tool_use": True}, ["get_weather"]),
        ({"type": "any"}, ["get_weather"]),
        ({"type": "tool", "name": "get_time"}, ["get_time"]),
        ({"type": "none"}, []),
    ],
    ids=["auto", "one", "any", "tool", "none"],
)
@each_provider
async def test_the_choice_of_tools(kind: str, choice: Any, names: list[str], client: AsyncAnthropic) -> None:
    text = "use tools" if choice["type"] == "auto" else "use tool"
    raw = await client.messages.with_raw_response.create(
        model=CHAT[kind],
        max_tokens=100,
        messages=[{"role": "user", "content": text}],
        tools=TOOLS,
        tool_choice=choice,
    )
    answer = await raw.parse()
    if kind == "gemini" and choice.get("disable_parallel_tool_use"):
        assert raw.headers["x-coo-dropped-params"] == "tool_choice"
        return
    assert [block.name for block in answer.content if block.type == "tool_use"] == names


@pytest.mark.parametrize(
    ("block", "seen"),
    [
        ({"type": "image", "source": PIXEL}, "image/png"),
        ({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}, "image/"),
        ({"type": "document", "source": PDF, "title": "a.pdf"}, ""),
    ],
    ids=["image", "image by address", "document"],
)
@each_provider
async def test_media(kind: str, block: dict[str, Any], seen: str, client: AsyncAnthropic) -> None:
    blocks = asking(block, {"type": "text", "text": "What is it?"})
    answer = await client.messages.create(model=CHAT[kind], max_tokens=100, messages=blocks)
    (said,) = answer.content
    assert said.type == "text" and said.text.startswith(f"Saw {seen}") and said.text.endswith("What is it?")


@each_provider
async def test_an_image_that_a_tool_gave(kind: str, client: AsyncAnthropic) -> None:
    used = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "x"}}
    result = {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "content": [{"type": "image", "source": PIXEL}],
    }
    history: list[Any] = [
        {"role": "user", "content": "use tool"},
        {"role": "assistant", "content": [used]},
        {"role": "user", "content": [result]},
    ]
    answer = await client.messages.create(model=CHAT[kind], max_tokens=100, tools=TOOLS, messages=history)
    (said,) = answer.content
    assert said.type == "text" and "image/png" in said.text


@each_provider
async def test_thinking(kind: str, client: AsyncAnthropic, world: World) -> None:
    asked: dict[str, Any] = {
        "model": THINKING[kind],
        "max_tokens": 3000,
        "messages": HELLO,
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "high"},
    }
    whole = await client.messages.create(**asked)
    shown = [block.thinking for block in whole.content if block.type == "thinking"]
    assert shown == ([] if kind == "openai" else ["Thinking it over."])  # OpenAI keeps its thoughts
    assert whole.usage.output_tokens_details is not None
    assert whole.usage.output_tokens_details.thinking_tokens == 5
    async with client.messages.stream(**asked) as stream:
        assert essence(await stream.get_final_message()) == essence(whole)
    history = [*HELLO, {"role": "assistant", "content": whole.content}, {"role": "user", "content": "Go on"}]
    again = await client.messages.create(**{**asked, "messages": history})
    assert again.content[-1].type == "text" and again.content[-1].text == "Echo: Go on"


@translated
async def test_nobody_is_shown_thoughts_who_did_not_ask(kind: str, client: AsyncAnthropic) -> None:
    answer = await client.messages.create(
        model=THINKING[kind], max_tokens=3000, messages=HELLO, output_config={"effort": "high"}
    )
    assert [block.type for block in answer.content] == ["text"]


async def test_thoughts_of_another_provider_are_no_trouble_to_claude(client: AsyncAnthropic) -> None:
    asked: dict[str, Any] = {"max_tokens": 3000, "thinking": {"type": "adaptive"}}
    first = await client.messages.create(model=THINKING["gemini"], messages=HELLO, **asked)
    assert first.content[0].type == "thinking" and first.content[0].signature == ""
    history = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": "Go on"}]
    answer = await client.messages.create(model=THINKING["claude"], messages=history, **asked)
    assert answer.content[-1].type == "text"


@each_provider
async def test_a_structured_answer(kind: str, client: AsyncAnthropic) -> None:
    answer = await client.messages.create(
        model=CHAT[kind],
        max_tokens=100,
        messages=HELLO,
        output_config={"format": {"type": "json_schema", "schema": _CITY}},
    )
    (said,) = answer.content
    assert said.type == "text" and json.loads(said.text) == {"city": "x"}


async def test_a_claude_gets_what_the_client_sent(client: AsyncAnthropic, world: World) -> None:
    mark: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}
    asked: dict[str, Any] = {
        "max_tokens": 100,
        "system": [{"type": "text", "text": "Be brief.", **mark}],
        "messages": [*HELLO, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "More"}],
        "metadata": {"user_id": "u" * 100},
        "stop_sequences": ["END"],
        "service_tier": "auto",
    }
    sampling = {"temperature": 0.5, "top_k": 5}
    headers = {"anthropic-beta": "one-2026,two-2026", "anthropic-version": "2023-06-01"}
    await client.messages.create(model=CHAT["claude"], extra_headers=headers, extra_body=sampling, **asked)
    assert sent(world, "claude") == {**asked, **sampling, "model": "claude-sonnet-4-5"}
    got = world.fakes["claude"].requests[-1].headers
    assert {name: got[name] for name in headers} == headers
    assert got["x-api-key"] == "good-key"


async def test_a_claude_answers_the_client_byte_for_byte(world: World) -> None:
    body = {"model": CHAT["claude"], "max_tokens": 100, "messages": HELLO, "stream": True}
    headers = {"x-api-key": KEY}
    url = f"{world.gateway.url}/api/v1/messages"
    async with world.gateway.session.post(url, json=body, headers=headers) as response:
        told = await response.read()
    direct = {"x-api-key": "good-key", "anthropic-version": "2023-06-01"}
    body["model"] = "claude-sonnet-4-5"
    url = f"{world.fakes['claude'].url}/v1/messages"
    async with world.gateway.session.post(url, json=body, headers=direct) as response:
        meant = await response.read()
    before, cost, after = told.partition(b'"cost":')
    amount, _, after = after.partition(b",")
    assert cost and float(amount) > 0
    assert before + after == meant.replace(b"msg_00000000000000000002", b"msg_00000000000000000001")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [*THINKING.values(), "openai:gpt-5.6-luna", "openai:gpt-4o"])
async def test_what_a_coding_agent_sends(model: str, stream: bool, world: World) -> None:
    """The shape of the requests of Anthropic's own command-line agent."""
    mark = {"cache_control": {"type": "ephemeral"}}
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_CITY}
    used = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"city": "x"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a file", **mark}
    body = {
        "model": model,
        "max_tokens": 32000,
        "stream": stream,
        "system": [{"type": "text", "text": "You are an agent."}, {"type": "text", "text": "Rules.", **mark}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "<system-reminder>"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "I read it."}, used]},
            {"role": "user", "content": [result, {"type": "text", "text": "Go on", **mark}]},
        ],
        "tools": [{"name": name, "description": "D", "input_schema": schema} for name in ("Read", "Bash")],
        "metadata": {"user_id": "user_" + "a" * 140},
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "medium"},
    }
    if not model.startswith("claude"):
        body["context_management"] = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    headers = {
        "x-api-key": KEY,
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,x",
    }
    url = f"{world.gateway.url}/v1/messages?beta=true"
    async with world.gateway.session.post(url, json=body, headers=headers) as response:
        told = await response.text()
        assert response.status == 200, told
    assert ("Resu" if model.startswith("claude") else "Echo") in told  # the others are asked by its last text


@each_provider
async def test_what_has_no_equivalent_is_dropped_and_named(kind: str, client: AsyncAnthropic) -> None:
    raw = await client.messages.with_raw_response.create(
        model=CHAT[kind],
        max_tokens=100,
        messages=asking({"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}),
        extra_body={"top_k": 5},
        extra_headers={"anthropic-version": "2023-06-01"},
    )
    dropped = {"openai": "cache_control,top_k", "gemini": "cache_control", "claude": None}
    assert raw.headers.get("x-coo-dropped-params") == dropped[kind]


@translated
async def test_tools_of_anthropic_are_for_anthropic(kind: str, client: AsyncAnthropic) -> None:
    with pytest.raises(BadRequestError) as caught:
        await client.messages.create(
            model=CHAT[kind],
            max_tokens=100,
            messages=HELLO,
            tools=[{"type": "web_search_20250305", "name": "web_search"}],
        )
    assert "web_search_20250305" in caught.value.message
    assert caught.value.error_code == "unsupported_parameter"


@each_provider
async def test_counting(kind: str, client: AsyncAnthropic, world: World) -> None:
    raw = await client.messages.with_raw_response.count_tokens(model=CHAT[kind], messages=HELLO)
    assert (await raw.parse()).input_tokens > 0
    assert raw.headers.get("x-coo-estimated") == (None if kind == "claude" else "true")
    assert len(world.fakes[kind].requests) == (kind == "claude")
    written = await record(world)
    assert (written.operation, written.status, written.cost_nano_usd) == ("count_tokens", 200, 0)
    assert (written.input_tokens, written.output_tokens) == (0, 0)


async def test_a_client_that_leaves_cancels_the_call(client: AsyncAnthropic, world: World) -> None:
    fake = world.fakes["openai"]
    fake.gate = asyncio.Event()
    asking = asyncio.create_task(
        client.messages.create(model=CHAT["openai"], max_tokens=100, messages=HELLO, stream=True)
    )
    await until(lambda: len(fake.requests) == 1)
    asking.cancel()
    written = await record(world)
    assert (written.status, written.partial) == (499, True)
