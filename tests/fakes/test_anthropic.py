"""The fake judges as Anthropic does, and says the same whole and streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.upstream import Json

HEADERS = {"x-api-key": "good-key", "anthropic-version": "2023-06-01"}
TOOL = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
HI = {"role": "user", "content": "hi"}
USE = {"role": "user", "content": "use tools"}
CALL: Json = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {}}],
}


@pytest.fixture
async def fake() -> AsyncIterator[FakeAnthropic]:
    async with FakeAnthropic() as started:
        yield started


async def post(fake: FakeAnthropic, body: Json, headers: dict[str, str] = HEADERS) -> tuple[int, Any]:
    body = {"model": "claude-sonnet-4-5", "max_tokens": 2000, "messages": [HI], **body}
    async with (
        ClientSession(headers=headers) as session,
        session.post(f"{fake.url}/v1/messages", json=body) as got,
    ):
        data = await got.read()
        return got.status, data if got.content_type == "text/event-stream" else orjson.loads(data)


def rebuilt(raw: bytes) -> list[Json]:
    """The content blocks a stream adds up to."""
    blocks: list[Json] = []
    for event in raw.split(b"\n\n"):
        data = orjson.loads(event.partition(b"data: ")[2] or b"{}")
        if data.get("type") == "content_block_start":
            blocks.append({**data["content_block"], "partial": ""})
        elif data.get("type") == "content_block_delta":
            kind, (value,) = data["delta"].pop("type"), data["delta"].values()
            field = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
            blocks[-1][field.get(kind, "partial")] += value
    for block in blocks:
        partial = block.pop("partial")
        if block["type"] == "tool_use":
            block["input"] = orjson.loads(partial or "{}")
    return blocks


async def test_authentication_and_version(fake: FakeAnthropic) -> None:
    bearer = {"Authorization": "Bearer good-key", "anthropic-version": "2023-06-01"}
    assert (await post(fake, {}, bearer))[0] == 200
    status, body = await post(fake, {}, {**HEADERS, "x-api-key": "bad"})
    assert (status, body["error"]["type"]) == (401, "authentication_error")
    assert body["request_id"] == "req_00000002"
    assert (await post(fake, {}, {"x-api-key": "good-key"}))[0] == 400


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"messages": [USE], "tools": [TOOL]},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"model": "claude-opus-5-5"},
        {"max_tokens": 1},
    ],
)
async def test_a_stream_says_the_same(fake: FakeAnthropic, extra: Json) -> None:
    _, whole = await post(fake, extra)
    fake.cut = 5
    _, raw = await post(fake, {**extra, "stream": True})
    plain = [{k: v for k, v in block.items() if k != "id"} for block in whole["content"]]
    assert [{k: v for k, v in block.items() if k != "id"} for block in rebuilt(raw)] == plain
    assert b"event: message_stop" in raw


async def test_token_classes_add_up(fake: FakeAnthropic) -> None:
    _, plain = await post(fake, {})
    fake.cached, fake.cache_written = 3, 2
    _, body = await post(fake, {})
    assert body["usage"]["input_tokens"] == plain["usage"]["input_tokens"] - 5
    assert body["usage"]["cache_read_input_tokens"] == 3
    assert body["usage"]["cache_creation_input_tokens"] == 2


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"foo": 1}, "foo: Extra inputs are not permitted"),
        ({"messages": [HI, {"role": "assistant", "content": ""}]}, "non-empty"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "must be non-empty"),
        ({"messages": [USE, CALL, HI], "tools": [TOOL]}, "`tool_use` ids were found without `tool_result`"),
        (
            {
                "messages": [
                    USE,
                    CALL,
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "first"},
                            {"type": "tool_result", "tool_use_id": "t1"},
                        ],
                    },
                ],
                "tools": [TOOL],
            },
            "`tool_use` ids were found without `tool_result`",
        ),
        (
            {
                "messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}],
                "tools": [TOOL],
            },
            "unexpected `tool_use_id`",
        ),
        ({"temperature": 1.5}, "temperature: range: 0..1"),
        ({"model": "claude-opus-4-7", "temperature": 0.5}, "`temperature` is deprecated for this model."),
        ({"temperature": 0.5, "top_p": 0.5}, "cannot both be specified"),
        ({"tools": [TOOL, TOOL]}, "Tool names must be unique"),
        ({"tool_choice": {"type": "any"}}, "only be specified while providing tools"),
        (
            {"model": "claude-opus-5-5", "tools": [TOOL], "tool_choice": {"type": "any"}},
            "not supported for this model",
        ),
        ({"model": "claude-opus-5-5", "thinking": {"type": "disabled"}}, "thinking.type.disabled"),
        ({"model": "claude-opus-4-8", "messages": [HI, {"role": "assistant", "content": "x"}]}, "prefill"),
        ({"messages": [HI, {"role": "system", "content": "x"}]}, "role 'system' is not supported"),
        ({"max_tokens": 999_999}, "which is the maximum allowed number of output tokens"),
        (
            {
                "output_config": {
                    "format": {"type": "json_schema", "schema": {"type": "integer", "maximum": 5}}
                }
            },
            "For 'integer' type",
        ),
    ],
)
async def test_refusals(fake: FakeAnthropic, extra: Json, text: str) -> None:
    status, body = await post(fake, extra)
    assert status == 400
    assert text in body["error"]["message"]
    assert body["type"] == "error"


async def test_a_bad_tool_id_is_refused(fake: FakeAnthropic) -> None:
    call = {"role": "assistant", "content": [{**CALL["content"][0], "id": "a:b"}]}
    _, body = await post(fake, {"messages": [USE, call], "tools": [TOOL]})
    assert "String should match pattern" in body["error"]["message"]


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-5-5"])
async def test_thinking_comes_back_unchanged_and_in_its_place(fake: FakeAnthropic, model: str) -> None:
    ask: Json = {"model": model, "messages": [USE], "tools": [TOOL]}
    if model == "claude-sonnet-4-5":
        ask["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    _, first = await post(fake, ask)
    calls = [block for block in first["content"] if block["type"] == "tool_use"]
    turn = {"role": "assistant", "content": first["content"]}
    results = [{"type": "tool_result", "tool_use_id": c["id"], "content": "sun"} for c in calls]
    replay = {**ask, "messages": [USE, turn, {"role": "user", "content": results}]}
    status, body = await post(fake, replay)
    assert status == 200
    assert body["content"][-1]["text"] == "Results: sun; sun"
    first["content"][0]["signature"] = "AAAA"
    _, body = await post(fake, replay)
    assert "Invalid `signature` in `thinking` block" in body["error"]["message"]


async def test_new_models_bind_thinking_to_what_came_before(fake: FakeAnthropic) -> None:
    _, first = await post(fake, {"model": "claude-opus-5-5"})
    turns = [HI, {"role": "assistant", "content": first["content"]}, HI]
    same = [
        {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]}
    ]
    assert (await post(fake, {"model": "claude-opus-5-5", "messages": same + turns[1:]}))[0] == 200
    status, body = await post(fake, {"model": "claude-opus-5-5", "messages": turns, "system": "injected"})
    assert status == 400
    assert "bound to a different conversation" in body["error"]["message"]


async def test_counting_takes_no_max_tokens(fake: FakeAnthropic) -> None:
    async with ClientSession(headers=HEADERS) as session:
        body = {"model": "claude-sonnet-4-5", "messages": [HI]}
        async with session.post(f"{fake.url}/v1/messages/count_tokens", json=body) as got:
            assert (await got.json())["input_tokens"] > 0
