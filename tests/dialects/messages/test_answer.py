"""Whole answers, and that they can be sent back in a history."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from gateway.api import Chunk, Kind, Usage
from gateway.dialects.messages.answer import WholeReader, to_chat
from gateway.dialects.messages.request import Target, from_chat
from tests.dialects.messages.checker import check
from tests.dialects.messages.streams import WIRE, messages

Json = dict[str, Any]


def read(body: bytes) -> tuple[WholeReader, list[Chunk]]:
    reader = WholeReader()
    chunks = [chunk for at in range(0, len(body), 7) for chunk in reader.feed(body[at : at + 7])]
    return reader, chunks + reader.finish()


def test_an_answer_with_everything() -> None:
    reader, (chunk,) = read((WIRE / "tools.json").read_bytes())
    assert chunk.value is not None and chunk.content and chunk.usage and reader.complete
    (choice,) = chunk.value["choices"]
    message = choice["message"]
    assert choice["finish_reason"] == "tool_calls"
    assert message["content"] == "Let me look." and message["refusal"] is None
    assert message["reasoning_content"] == "Two places, two calls."
    assert [block["type"] for block in message["reasoning_details"]] == ["thinking", "redacted_thinking"]
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == [
        '{"location":"São Paulo"}',
        "{}",
    ]
    assert reader.usage == Usage(input=472, output=49, reasoning=40)
    assert chunk.value["usage"]["completion_tokens"] == 89
    assert reader.produced == len('Let me look.Two places, two calls.{"location":"São Paulo"}{}')


def test_numbers_in_arguments_keep_their_digits() -> None:
    account = b'{"account":12345678901234567890123}'
    block = b'{"type":"tool_use","id":"t","name":"f","input":%b}' % account
    _, (chunk,) = read(b'{"id":"m","model":"c","content":[%b],"stop_reason":"tool_use"}' % block)
    assert chunk.value is not None
    (call,) = chunk.value["choices"][0]["message"]["tool_calls"]
    assert call["function"]["arguments"].encode() == account


def test_usage_and_tier() -> None:
    _, (chunk,) = read((WIRE / "text.json").read_bytes())
    assert chunk.value is not None and chunk.value["service_tier"] == "default"
    assert chunk.value["usage"] == {
        "prompt_tokens": 2125,
        "completion_tokens": 15,
        "total_tokens": 2140,
        "prompt_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 100},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


@settings(max_examples=100, deadline=None)
@given(messages())
def test_what_was_answered_is_accepted_back(message: Json) -> None:
    user = {"role": "user", "content": "hi"}
    completion = orjson.loads(orjson.dumps(to_chat(message, 0)))
    history = [user, completion["choices"][0]["message"], user]
    payload, dropped = from_chat({"messages": history}, Target("claude-sonnet-4-5", "2023-06-01", 4096))
    check(payload)
    assert dropped == ()
    blocks = [block for turn in payload["messages"] for block in turn["content"]]
    thinking = [block for block in message["content"] if "thinking" in block["type"]]
    answered = any(
        block["type"] == "tool_use" or block.get("text", "").strip() for block in message["content"]
    )
    assert [block for block in blocks if "thinking" in block["type"]] == (thinking if answered else [])


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("a_new_one", "stop"),
        (None, "stop"),
    ],
)
def test_finish_reasons(reason: str | None, finish: str) -> None:
    message: Json = {"id": "m", "model": "m", "content": [], "stop_reason": reason}
    assert to_chat(message, 0)["choices"][0]["finish_reason"] == finish


def test_a_refusal_says_why() -> None:
    _, (chunk,) = read((WIRE / "refusal.json").read_bytes())
    assert chunk.value is not None
    assert chunk.value["choices"][0]["message"]["refusal"] == "This request was declined."


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", Kind.FAILED),
        (b"<html>no</html>", Kind.FAILED),
        (b"[]", Kind.FAILED),
        (b'{"id": "msg_1", "content": [{"type": "te', Kind.INVALID),
        (b"{}", Kind.INVALID),
        (b'{"id": "m", "model": "m", "content": "text"}', Kind.INVALID),
        (b'{"id": "m", "model": "m", "content": [{"type": "text", "text": 1}]}', Kind.INVALID),
        (b'{"type": "error", "error": {"type": "overloaded_error", "message": "x"}}', Kind.OVERLOADED),
        (b'{"error": "down"}', Kind.FAILED),
    ],
)
def test_what_is_no_answer(body: bytes, kind: Kind) -> None:
    reader, chunks = read(body)
    assert chunks == [] and not reader.complete
    assert reader.fault is not None and reader.fault.kind is kind


def test_figures_that_make_no_sense_are_left_out() -> None:
    usage = {"input_tokens": -5, "output_tokens": 1}
    reader, (chunk,) = read(orjson.dumps({"id": "m", "model": "m", "content": [], "usage": usage}))
    assert reader.usage is None and not chunk.usage
    assert chunk.value is not None and "usage" not in chunk.value
