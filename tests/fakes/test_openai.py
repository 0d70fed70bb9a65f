"""The fake judges as OpenAI does, and says the same whole and streamed."""

from __future__ import annotations

import base64
import struct
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from tests.fakes.openai import FakeOpenAI
from tests.fakes.upstream import Fault, Json

AUTH = {"Authorization": "Bearer good-key"}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as started:
        yield started


async def post(fake: FakeOpenAI, body: Json, path: str = "/v1/chat/completions") -> tuple[int, Any]:
    async with (
        ClientSession(headers=AUTH) as session,
        session.post(fake.url + path, json={"model": "gpt-4o", **body}) as got,
    ):
        data = await got.read()
        return got.status, data if got.content_type == "text/event-stream" else orjson.loads(data)


def user(text: str) -> Json:
    return {"role": "user", "content": text}


async def test_a_key_must_be_known_and_in_the_right_header(fake: FakeOpenAI) -> None:
    async with ClientSession() as session:
        async with session.get(f"{fake.url}/v1/models", headers={"x-api-key": "good-key"}) as got:
            assert got.status == 401
        async with session.get(f"{fake.url}/v1/models", headers={"Authorization": "Bearer bad"}) as got:
            assert (await got.json())["error"]["code"] == "invalid_api_key"


async def test_chat_echoes_and_records(fake: FakeOpenAI) -> None:
    status, body = await post(fake, {"messages": [user("hi")]})
    assert status == 200
    assert body["choices"][0]["message"]["content"] == "Echo: hi"
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + 2
    assert fake.requests[0].json()["messages"] == [user("hi")]


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"n": 2, "logprobs": True, "top_logprobs": 2},
        {"messages": [user("use tools")], "tools": [TOOL]},
        {"messages": [user("please refuse")]},
        {"model": "o3", "max_completion_tokens": 6},
    ],
)
async def test_a_stream_says_the_same(fake: FakeOpenAI, extra: Json) -> None:
    base = {"messages": [user("streamed or not")], **extra}
    _, whole = await post(fake, base)
    fake.cut = 7
    _, raw = await post(fake, {**base, "stream": True, "stream_options": {"include_usage": True}})
    *events, done = [line[6:] for line in raw.split(b"\n") if line]
    assert done == b"[DONE]"
    chunks = [orjson.loads(event) for event in events]
    assert chunks[-1]["usage"] == whole["usage"]
    for choice in whole["choices"]:
        mine = [c["choices"][0] for c in chunks[:-1] if c["choices"][0]["index"] == choice["index"]]
        text = "".join(piece["delta"].get("content") or "" for piece in mine)
        calls = [call for piece in mine for call in piece["delta"].get("tool_calls", ())]
        arguments = "".join(call["function"]["arguments"] for call in calls)
        message = choice["message"]
        assert text == (message["content"] or "")
        assert arguments == "".join(c["function"]["arguments"] for c in message.get("tool_calls", ()))
        assert mine[-1]["finish_reason"] == choice["finish_reason"]


async def test_tool_calls_want_their_answers(fake: FakeOpenAI) -> None:
    ask = {"messages": [user("use tools")], "tools": [TOOL]}
    _, first = await post(fake, ask)
    message = first["choices"][0]["message"]
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == ['{"city":"x"}'] * 2
    results = [{"role": "tool", "tool_call_id": c["id"], "content": "sun"} for c in message["tool_calls"]]
    status, second = await post(fake, {**ask, "messages": [user("use tools"), message, *results]})
    assert (status, second["choices"][0]["message"]["content"]) == (200, "Results: sun; sun")
    status, wrong = await post(fake, {**ask, "messages": [user("use tools"), message, results[0]]})
    assert "did not have response messages" in wrong["error"]["message"]


@pytest.mark.parametrize(
    ("extra", "code", "text"),
    [
        ({"messages": []}, "empty_array", "empty array"),
        ({"foo": 1}, None, "Unrecognized request argument supplied: foo"),
        ({"temperature": 3}, "decimal_above_max_value", "<= 2"),
        ({"messages": [{"role": "usr", "content": "x"}]}, "invalid_value", "Invalid value: 'usr'."),
        (
            {"messages": [{**user("x"), "cache_control": {}}]},
            "unknown_parameter",
            "messages[0].cache_control",
        ),
        ({"messages": [{"role": "user", "content": 5}]}, "invalid_type", "but got an integer instead"),
        ({"messages": [{"role": "tool", "tool_call_id": "a", "content": "x"}]}, None, "preceeding message"),
        ({"model": "o3", "temperature": 0.2}, "unsupported_value", "Only the default (1)"),
        ({"model": "gpt-5", "max_tokens": 5}, "unsupported_parameter", "max_completion_tokens"),
        ({"model": "gpt-5.6-luna", "tools": [TOOL], "reasoning_effort": "low"}, None, "use /v1/responses"),
        ({"response_format": {"type": "json_object"}}, None, "the word 'json'"),
        ({"model": "nope"}, "model_not_found", "does not exist"),
        ({"parallel_tool_calls": True}, None, "only allowed when 'tools'"),
    ],
)
async def test_refusals(fake: FakeOpenAI, extra: Json, code: str | None, text: str) -> None:
    status, body = await post(fake, {"messages": [user("hi")], **extra})
    assert status in (400, 404)
    assert text in body["error"]["message"]
    assert body["error"]["code"] == code
    assert body["error"].keys() == {"message", "type", "param", "code"}


async def test_structured_output_fits_its_schema(fake: FakeOpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    _, body = await post(fake, {"messages": [user("hi")], "response_format": form})
    assert body["choices"][0]["message"]["content"] == '{"n":0}'


async def test_embeddings_are_the_same_in_both_forms(fake: FakeOpenAI) -> None:
    ask = {"model": "text-embedding-3-small", "input": ["a", "bc"], "dimensions": 3}
    _, floats = await post(fake, ask, "/v1/embeddings")
    _, packed = await post(fake, {**ask, "encoding_format": "base64"}, "/v1/embeddings")
    for plain, coded in zip(floats["data"], packed["data"], strict=True):
        assert list(struct.unpack("<3f", base64.b64decode(coded["embedding"]))) == plain["embedding"]


async def test_legacy_completions(fake: FakeOpenAI) -> None:
    _, body = await post(fake, {"model": "gpt-3.5-turbo-instruct", "prompt": "say"}, "/v1/completions")
    assert (body["object"], body["choices"][0]["text"]) == ("text_completion", "Echo: say")


async def test_faults_come_first_and_once(fake: FakeOpenAI) -> None:
    fake.script.extend([Fault(429, headers={"Retry-After": "7"}), None, Fault(500)])
    answers = [await post(fake, {"messages": [user("hi")]}) for _ in range(4)]
    assert [status for status, _ in answers] == [429, 200, 500, 200]
    assert answers[0][1]["error"]["code"] == "rate_limit_exceeded"
