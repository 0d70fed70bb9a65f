"""OpenAI's Python SDK against every provider: chats, streams, parameters, media, embeddings, models."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
from openai import AsyncOpenAI, BadRequestError
from openai.types.chat import ChatCompletionUserMessageParam
from pydantic import BaseModel

from tests.clients.world import CHAT, EMBEDDING, KINDS, THINKING, TOOLS, World, serving

HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Hello, wörld 👋"}]
PIXEL = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0xLjQ="
WAV = base64.b64encode(b"RIFF").decode()

each_provider = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving(tmp_path) as world:
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(**world.settings) as client:
        yield client


def asking(text: str, *parts: dict[str, Any]) -> list[Any]:
    return [{"role": "user", "content": [{"type": "text", "text": text}, *parts]}]


def essence(completion: Any) -> dict[str, Any]:
    """What a client reads in an answer, whole or put together from a stream, but for made-up ids."""
    choices = []
    for choice in completion.choices:
        message = choice.message
        calls = [(call.function.name, call.function.arguments) for call in message.tool_calls or ()]
        thought = getattr(message, "reasoning_content", None)
        said = (message.content or "", message.refusal, thought, calls)
        choices.append((choice.index, choice.finish_reason, *said, choice.logprobs))
    return {"model": completion.model, "choices": choices, "usage": completion.usage}


@each_provider
async def test_a_chat(kind: str, client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model=CHAT[kind], messages=HELLO)
    assert answer.choices[0].message.content == "Echo: Hello, wörld 👋"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.object == "chat.completion" and answer.id and answer.created
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    cost = answer.usage.prompt_tokens * 0.000001 + answer.usage.completion_tokens * 0.000002
    assert answer.usage.model_extra == {"cost": pytest.approx(cost)}


@pytest.mark.parametrize(
    "asked",
    [
        {"messages": HELLO},
        {"messages": HELLO, "max_tokens": 2},
        {"messages": [{"role": "user", "content": "use tool"}], "tools": TOOLS},
        {"messages": [{"role": "user", "content": "use tools"}], "tools": TOOLS},
        {"messages": [{"role": "user", "content": "please refuse"}]},
    ],
    ids=["text", "cut off", "a tool", "tools", "refusal"],
)
@each_provider
async def test_a_stream_says_what_the_whole_answer_says(
    kind: str, asked: dict[str, Any], world: World, client: AsyncOpenAI
) -> None:
    asked = {"model": CHAT[kind], **asked}
    whole = await client.chat.completions.create(**asked)
    for world.fakes[kind].cut in (None, 1, 7):
        async with client.chat.completions.stream(stream_options={"include_usage": True}, **asked) as stream:
            await stream.until_done()
            assert essence(stream.current_completion_snapshot) == essence(whole)


@each_provider
async def test_thoughts_are_streamed_as_they_are_answered(kind: str, client: AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": THINKING[kind], "messages": HELLO, "reasoning_effort": "high"}
    whole = await client.chat.completions.create(**asked)
    assert whole.usage is not None and whole.usage.completion_tokens_details is not None
    assert whole.usage.completion_tokens_details.reasoning_tokens == 5
    if kind != "openai":  # which keeps its thoughts
        assert getattr(whole.choices[0].message, "reasoning_content", None) == "Thinking it over."
    async with client.chat.completions.stream(stream_options={"include_usage": True}, **asked) as stream:
        assert essence(await stream.get_final_completion()) == essence(whole)


@each_provider
async def test_usage_is_in_a_stream_only_for_who_asks(kind: str, client: AsyncOpenAI) -> None:
    plain = await client.chat.completions.create(model=CHAT[kind], messages=HELLO, stream=True)
    chunks = [chunk async for chunk in plain]
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    options: Any = {"include_usage": True}
    asked = await client.chat.completions.create(
        model=CHAT[kind], messages=HELLO, stream=True, stream_options=options
    )
    *chunks, last = [chunk async for chunk in asked]
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert not last.choices and last.usage is not None and last.usage.completion_tokens > 0
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in [*chunks, last]}) == 1


@each_provider
async def test_conversations_with_every_role(kind: str, client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=CHAT[kind],
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "One"},
            {"role": "user", "content": "Two"},
            {"role": "assistant", "content": "Three"},
            {"role": "developer", "content": "Be briefer."},
            {"role": "user", "content": [{"type": "text", "text": "Four"}]},
        ],
    )
    assert (answer.choices[0].message.content or "").endswith("Four")


class Step(BaseModel):
    title: str
    mood: Literal["good", "bad"]


class Plan(BaseModel):
    steps: list[Step]
    first: Step
    note: str | None


@each_provider
async def test_structured_answers(kind: str, client: AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": CHAT[kind], "messages": HELLO, "response_format": Plan}
    answer = await client.chat.completions.parse(**asked)
    parsed = answer.choices[0].message.parsed
    assert parsed == Plan(steps=[], first=Step(title="x", mood="good"), note="x")
    async with client.chat.completions.stream(**asked) as stream:
        assert (await stream.get_final_completion()).choices[0].message.parsed == parsed


@pytest.mark.parametrize(
    ("part", "seen"),
    [
        ({"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}, "image/png"),
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, "image/"),
        ({"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}}, ""),
        ({"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}, "audio/wav"),
    ],
    ids=["image", "image by address", "file", "audio"],
)
@each_provider
async def test_media(kind: str, part: dict[str, Any], seen: str, client: AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": CHAT[kind], "messages": asking("What is it?", part)}
    if kind == "claude" and part["type"] == "input_audio":
        with pytest.raises(BadRequestError) as caught:
            await client.chat.completions.create(**asked)
        assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "messages")
        return
    answer = await client.chat.completions.create(**asked)
    said = answer.choices[0].message.content or ""
    assert said.startswith(f"Saw {seen}") and said.endswith(": What is it?")


@each_provider
async def test_stop_and_seed(kind: str, client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model=CHAT[kind], messages=HELLO, stop=["wörld"], seed=7, temperature=0.5
    )
    choice = raw.parse().choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Echo: Hello, ", "stop")
    assert raw.headers.get("x-coo-dropped-params") == ("seed" if kind == "claude" else None)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("asked", [{"n": 2}, {"logprobs": True, "top_logprobs": 2}], ids=["n", "logprobs"])
@each_provider
async def test_choices_and_probabilities(
    kind: str, asked: dict[str, Any], stream: bool, client: AsyncOpenAI
) -> None:
    asked = {"model": CHAT[kind], "messages": HELLO, **asked}
    if kind == "claude":
        with pytest.raises(BadRequestError) as caught:
            await client.chat.completions.create(stream=stream, **asked)
        assert caught.value.code == "unsupported_parameter" and caught.value.param in asked
        return
    answer = await client.chat.completions.create(**asked)
    assert [choice.index for choice in answer.choices] == list(range(asked.get("n", 1)))
    if asked.get("logprobs"):
        probabilities = answer.choices[0].logprobs
        assert probabilities is not None and probabilities.content is not None
        assert "".join(token.token for token in probabilities.content) == answer.choices[0].message.content
        assert all(len(token.top_logprobs) == 2 for token in probabilities.content)
    if stream:
        options: Any = {"include_usage": True}
        async with client.chat.completions.stream(stream_options=options, **asked) as events:
            assert essence(await events.get_final_completion()) == essence(answer)


@pytest.mark.parametrize("form", [{}, {"encoding_format": "float"}, {"dimensions": 4}])
@pytest.mark.parametrize("kind", EMBEDDING)
async def test_embeddings(kind: str, form: dict[str, Any], client: AsyncOpenAI) -> None:
    model = EMBEDDING[kind]
    answer = await client.embeddings.create(model=model, input=["one", "two"], **form)
    assert [item.index for item in answer.data] == [0, 1]
    assert [len(item.embedding) for item in answer.data] == [form.get("dimensions", 8)] * 2
    assert answer.data[0].embedding != answer.data[1].embedding
    single = await client.embeddings.create(model=model, input="one", **form)
    assert single.data[0].embedding == answer.data[0].embedding
    plain = await client.embeddings.create(model=model, input="one", **{**form, "encoding_format": "float"})
    assert plain.data[0].embedding == single.data[0].embedding


async def test_embeddings_where_there_are_none(client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        await client.embeddings.create(model=CHAT["claude"], input="one")
    assert caught.value.code == "unsupported_parameter"
    assert "No provider of this model supports 'embeddings'." in caught.value.message


async def test_embeddings_of_token_ids(client: AsyncOpenAI) -> None:
    answer = await client.embeddings.create(model=EMBEDDING["openai"], input=[[1, 2], [3]])
    assert len(answer.data) == 2
    with pytest.raises(BadRequestError) as caught:
        await client.embeddings.create(model=EMBEDDING["gemini"], input=[[1, 2], [3]])
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "input")


@each_provider
async def test_legacy_completions(kind: str, client: AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": CHAT[kind], "prompt": "Once upon", "max_tokens": 50}
    answer = await client.completions.create(**asked)
    assert (answer.object, answer.choices[0].text) == ("text_completion", "Echo: Once upon")
    assert answer.choices[0].finish_reason == "stop" and answer.usage is not None
    stream = await client.completions.create(stream=True, **asked)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Echo: Once upon"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert {chunk.object for chunk in chunks} == {"text_completion"}


async def test_models(client: AsyncOpenAI) -> None:
    listed = [model.id async for model in client.models.list()]
    assert {*CHAT.values(), *(name.partition(":")[2] for name in CHAT.values())} == set(listed)
    assert len(listed) == len(set(listed))
    for name in listed:
        assert (await client.models.retrieve(name)).id == name


async def test_headers(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model=CHAT["openai"], messages=HELLO, extra_headers={"x-request-id": "mine-1"}
    )
    answer, headers = raw.parse(), raw.headers
    assert answer._request_id == headers["x-request-id"] == "mine-1"
    assert (headers["x-coo-provider"], headers["x-coo-model"]) == ("openai", "gpt-4o")
    assert (headers["x-coo-attempts"], headers["x-coo-cache"]) == ("1", "off")
    assert headers["x-coo-key"].startswith("k-") and headers["x-coo-upstream-request-id"].startswith("req_")
    assert answer.usage is not None and answer.usage.model_extra == {"cost": float(headers["x-coo-cost"])}
    own = await client.models.with_raw_response.list()
    assert own.headers["x-request-id"]
