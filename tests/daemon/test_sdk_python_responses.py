"""OpenAI's Python SDK on the Responses API: native at OpenAI, translated for Claude and Gemini."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from pydantic import BaseModel

from tests.clients.world import CHAT, KINDS, THINKING, World, serving

FUNCTIONS: list[Any] = [
    {
        "type": "function",
        "name": name,
        "description": "About a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    }
    for name in ("get_weather", "get_time")
]
RESULTS = {"get_weather": "sunny", "get_time": "noon"}
PIXEL = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0xLjQ="
TRANSLATED = ("claude", "gemini")

each_provider = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving(tmp_path) as world:
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(**world.settings, max_retries=0) as client:
        yield client


def essence(response: Any) -> dict[str, Any]:
    """What a client reads in an answer, whole or put together from a stream, but for made-up ids."""
    items = []
    for item in response.output:
        if item.type == "function_call":
            items.append((item.type, item.name, item.arguments, item.status))
        elif item.type == "message":
            parts = [getattr(part, "text", None) or getattr(part, "refusal", None) for part in item.content]
            items.append((item.type, item.status, parts, item.role))
        else:
            items.append((item.type, [part.text for part in item.summary], None, None))
    head = (response.status, response.model, response.incomplete_details)
    return {"head": head, "output": items, "usage": response.usage}


async def streamed(client: AsyncOpenAI, **asked: Any) -> Any:
    """The response of the last event. Every event is numbered, and none follows it."""
    events = [event async for event in await client.responses.create(stream=True, **asked)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created" and events[1].type == "response.in_progress"
    return events[-1].response


@each_provider
async def test_an_answer(kind: str, client: AsyncOpenAI) -> None:
    raw = await client.responses.with_raw_response.create(model=CHAT[kind], input="Hello, wörld 👋")
    answer, headers = raw.parse(), raw.headers
    assert answer.output_text == "Echo: Hello, wörld 👋"
    assert (answer.object, answer.status, answer.error) == ("response", "completed", None)
    assert answer.id.startswith("resp_") and answer.created_at
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    cost = answer.usage.input_tokens * 0.000001 + answer.usage.output_tokens * 0.000002
    assert answer.usage.model_extra == {"cost": pytest.approx(cost)}
    assert float(headers["x-coo-cost"]) == pytest.approx(cost)
    assert (headers["x-coo-provider"], headers["x-coo-attempts"]) == (kind, "1")
    assert "x-coo-dropped-params" not in headers


async def test_the_other_prefix(world: World) -> None:
    async with AsyncOpenAI(**{**world.settings, "base_url": f"{world.gateway.url}/api/v1"}) as client:
        answer = await client.responses.create(model=CHAT["claude"], input="Hello")
    assert answer.output_text == "Echo: Hello"


@pytest.mark.parametrize(
    "asked",
    [
        {"input": "Hello"},
        {"input": "Hello " * 40, "max_output_tokens": 16},
        {"input": "use tool", "tools": FUNCTIONS},
        {"input": "use tools", "tools": FUNCTIONS},
        {"input": "please refuse"},
    ],
    ids=["text", "cut off", "a tool", "tools", "refusal"],
)
@each_provider
async def test_a_stream_says_what_the_whole_answer_says(
    kind: str, asked: dict[str, Any], world: World, client: AsyncOpenAI
) -> None:
    asked = {"model": CHAT[kind], **asked}
    whole = await client.responses.create(**asked)
    for world.fakes[kind].cut in (None, 1, 7):
        assert essence(await streamed(client, **asked)) == essence(whole)
    if whole.status == "completed":
        async with client.responses.stream(**asked) as stream:
            assert essence(await stream.get_final_response()) == essence(whole)


@each_provider
async def test_an_answer_that_is_cut_off_says_why(kind: str, client: AsyncOpenAI) -> None:
    answer = await client.responses.create(model=CHAT[kind], input="Hello " * 40, max_output_tokens=16)
    assert answer.status == "incomplete" and answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("kind", TRANSLATED)
async def test_thoughts_are_summaries(kind: str, client: AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": THINKING[kind], "input": "Hello", "reasoning": {"effort": "high"}}
    whole = await client.responses.create(**asked)
    assert whole.usage is not None and whole.usage.output_tokens_details.reasoning_tokens == 5
    thought = whole.output[0]
    assert thought.type == "reasoning" and thought.summary[0].text == "Thinking it over."
    async with client.responses.stream(**asked) as stream:
        texts = [
            event.delta async for event in stream if event.type == "response.reasoning_summary_text.delta"
        ]
        assert essence(await stream.get_final_response()) == essence(whole)
    assert "".join(texts) == "Thinking it over."


async def rounds(client: AsyncOpenAI, models: list[str], wish: str, *, stream: bool) -> list[str]:
    """Two rounds of a tool loop, each call to the next of ``models``; the texts that end the rounds."""
    items: list[Any] = []
    texts = []
    turn = 0
    for _ in range(2):
        items.append({"role": "user", "content": wish})
        while True:
            asked: Any = {"model": models[turn % len(models)], "input": items, "tools": FUNCTIONS}
            answer = await (streamed(client, **asked) if stream else client.responses.create(**asked))
            turn += 1
            items += answer.output
            calls = [item for item in answer.output if item.type == "function_call"]
            items += [
                {"type": "function_call_output", "call_id": call.call_id, "output": RESULTS[call.name]}
                for call in calls
            ]
            if not calls:
                texts.append(answer.output_text)
                break
    return texts


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("wish", "said"), [("use tool", "sunny"), ("use tools", "sunny; noon")])
@pytest.mark.parametrize("models", [CHAT, THINKING], ids=["plain", "thinking"])
@each_provider
async def test_a_tool_loop_of_two_rounds(
    kind: str, models: dict[str, str], wish: str, said: str, stream: bool, client: AsyncOpenAI
) -> None:
    texts = await rounds(client, [models[kind]], wish, stream=stream)
    assert texts == [f"Results: {said}"] * 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "order", [("claude", "openai"), ("gemini", "openai"), ("openai", "claude", "gemini")]
)
async def test_a_tool_loop_that_goes_from_one_provider_to_another(
    order: tuple[str, ...], stream: bool, client: AsyncOpenAI
) -> None:
    texts = await rounds(client, [CHAT[kind] for kind in order], "use tool", stream=stream)
    assert texts == ["Results: sunny"] * 2


@each_provider
async def test_the_clients_choice_among_tools(kind: str, client: AsyncOpenAI) -> None:
    for choice, expected in [
        ("none", []),
        ("auto", []),
        ("required", ["get_weather"]),
        ({"type": "function", "name": "get_time"}, ["get_time"]),
    ]:
        asked: dict[str, Any] = {"model": CHAT[kind], "tools": FUNCTIONS, "tool_choice": choice}
        answer = await client.responses.create(input="Hello", **asked)
        assert [item.name for item in answer.output if item.type == "function_call"] == expected


class Plan(BaseModel):
    title: str
    steps: list[str]


@each_provider
async def test_structured_answers(kind: str, client: AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": CHAT[kind], "input": "Hello", "text_format": Plan}
    parsed = (await client.responses.parse(**asked)).output_parsed
    assert parsed == Plan(title="x", steps=[])
    async with client.responses.stream(**asked) as stream:
        assert (await stream.get_final_response()).output_parsed == parsed


@pytest.mark.parametrize(
    ("part", "seen"),
    [
        ({"type": "input_image", "image_url": PIXEL, "detail": "auto"}, "image/png"),
        ({"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"}, "image/"),
        ({"type": "input_file", "file_data": PDF, "filename": "a.pdf"}, ""),
        ({"type": "input_file", "file_url": "https://example.com/a.pdf"}, ""),
    ],
    ids=["image", "image by address", "file", "file by address"],
)
@each_provider
async def test_media(kind: str, part: dict[str, Any], seen: str, client: AsyncOpenAI) -> None:
    content = [{"type": "input_text", "text": "What is it?"}, part]
    items: Any = [{"role": "user", "content": content}]
    answer = await client.responses.create(model=CHAT[kind], input=items)
    assert answer.output_text.startswith(f"Saw {seen}") and answer.output_text.endswith(": What is it?")


@each_provider
async def test_instructions_and_roles(kind: str, client: AsyncOpenAI) -> None:
    items: Any = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": [{"type": "input_text", "text": "Three"}]},
    ]
    answer = await client.responses.create(model=CHAT[kind], input=items, instructions="Help.")
    assert answer.output_text == "Echo: Three" and answer.instructions == "Help."


@pytest.mark.parametrize("kind", TRANSLATED)
async def test_what_is_dropped_is_named_as_the_client_calls_it(kind: str, client: AsyncOpenAI) -> None:
    raw = await client.responses.with_raw_response.create(
        model=CHAT[kind], input="Hello", store=True, text={"verbosity": "low"}, truncation="auto"
    )
    dropped = set(raw.headers["x-coo-dropped-params"].split(","))
    assert dropped == {"store", "truncation", "text.verbosity"}
    assert raw.parse().to_dict()["store"] is False


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, "tools"),
    ],
    ids=["previous response", "conversation", "background", "item", "file search"],
)
@each_provider
async def test_nobody_reaches_what_the_account_stores(
    kind: str, asked: dict[str, Any], param: str, world: World, client: AsyncOpenAI
) -> None:
    with pytest.raises(BadRequestError) as caught:
        await client.responses.create(**{"model": CHAT[kind], "input": "Hello", **asked})
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", param)
    assert not world.fakes[kind].requests


@each_provider
async def test_hosted_tools_run_where_they_are(kind: str, client: AsyncOpenAI) -> None:
    tools: Any = [{"type": "web_search"}]
    if kind == "openai":
        answer = await client.responses.create(model=CHAT[kind], input="Hello", tools=tools)
        assert answer.output_text == "Echo: Hello"
        return
    with pytest.raises(BadRequestError) as caught:
        await client.responses.create(model=CHAT[kind], input="Hello", tools=tools)
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "tools")


@pytest.mark.parametrize("stream", [False, True])
async def test_the_providers_own_refusal_reaches_the_client(stream: bool, client: AsyncOpenAI) -> None:
    items: Any = [{"type": "function_call_output", "call_id": "call_9", "output": "x"}]
    with pytest.raises(BadRequestError) as caught:
        await client.responses.create(model=CHAT["openai"], input=items, stream=stream)
    assert "No tool call found for function call output with call_id call_9." in caught.value.message


@pytest.mark.parametrize(
    ("asked", "code", "param"),
    [
        ({}, "missing_required_parameter", "input"),
        ({"input": 7}, "invalid_type", "input"),
        ({"input": []}, "invalid_value", "input"),
        ({"input": [7]}, "invalid_type", "input[0]"),
        ({"input": [{"type": 7}]}, "invalid_type", "input[0].type"),
        ({"input": [{"role": "user"}]}, "missing_required_parameter", "input[0].content"),
        (
            {"input": [{"role": "user", "content": [{}]}]},
            "missing_required_parameter",
            "input[0].content[0].type",
        ),
        ({"input": [{"type": "function_call"}]}, "missing_required_parameter", "input[0].call_id"),
        ({"input": "x", "max_output_tokens": "many"}, "invalid_type", "max_output_tokens"),
        ({"input": "x", "max_output_tokens": 0}, "invalid_value", "max_output_tokens"),
        ({"input": "x", "temperature": 3}, "invalid_value", "temperature"),
        ({"input": "x", "text": "json"}, "invalid_type", "text"),
        ({"input": "x", "tools": [{"type": "function"}]}, "missing_required_parameter", "tools[0].name"),
        ({"input": "x", "tools": {}}, "invalid_type", "tools"),
        ({"input": "x", "api_base": "http://evil"}, "unsupported_parameter", "api_base"),
    ],
)
async def test_bad_requests_reach_no_provider(
    asked: dict[str, Any], code: str, param: str, world: World, client: AsyncOpenAI
) -> None:
    with pytest.raises(BadRequestError) as caught:
        await client.post("/responses", body={"model": CHAT["openai"], **asked}, cast_to=object)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert not world.fakes["openai"].requests


async def test_an_unknown_model(client: AsyncOpenAI) -> None:
    with pytest.raises(NotFoundError) as caught:
        await client.responses.create(model="nobody-knows", input="Hello")
    assert caught.value.code == "model_not_found"
