"""Answers of chats as messages: whole, and as the events of a stream."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import ApiError, Call, Usage
from gateway.dialects.client import Asked
from gateway.dialects.messages.answer import to_chat
from gateway.dialects.messages.inbound.encoder import MessageEncoder
from gateway.dialects.messages.inbound.replay import Assembly
from tests.dialects.messages.streams import messages, read, streamed

Json = dict[str, Any]
THINKING: Json = {"thinking": {"type": "adaptive"}}
USAGE = Usage(input=5, cache_read=3, cache_write=2, output=6, reasoning=4)
WRITTEN = {
    "input_tokens": 5,
    "cache_creation_input_tokens": 2,
    "cache_read_input_tokens": 3,
    "output_tokens": 10,
    "output_tokens_details": {"thinking_tokens": 4},
    "cost": 0.0000015,
}


def encoder(body: Json = THINKING) -> MessageEncoder:
    return MessageEncoder(Asked(body, Call("chat", "m", {}, stream=True), 7))


def chunk(delta: Json, finish: str | None = None) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "model": "m", "choices": [choice]}


def told(*chunks: Json, body: Json = THINKING) -> list[Json]:
    """The events that the chunks make, by their data."""
    one = encoder(body)
    stream = b"".join([one.events(chunk) for chunk in chunks]) + one.end(USAGE, 1500)
    events = [event.partition(b"\n") for event in stream.split(b"\n\n")[:-1]]
    values = [orjson.loads(data.removeprefix(b"data: ")) for _, _, data in events]
    assert [name for name, _, _ in events] == [b"event: " + value["type"].encode() for value in values]
    return values


def assembled(*chunks: Json, body: Json = THINKING) -> Json:
    one = encoder(body)
    assembly = Assembly()
    for value in chunks:
        assembly.feed(one.events(value))
    assembly.feed(one.end(USAGE, 1500))
    return assembly.whole()


def essence(message: Json) -> Json:
    """Thinking first, texts as one, then calls: an order that a chat keeps."""
    thoughts = [b for b in message["content"] if b["type"] in ("thinking", "redacted_thinking")]
    text = "".join(b["text"] for b in message["content"] if b["type"] == "text")
    calls = [(b["name"], b["input"]) for b in message["content"] if b["type"] == "tool_use"]
    return {"thoughts": thoughts, "text": text, "calls": calls, "id": message["id"]}


@settings(max_examples=150, deadline=None)
@given(messages())
def test_a_message_survives_the_way_through_a_chat(message: Json) -> None:
    whole = orjson.loads(encoder().whole(to_chat(message, 0), USAGE, 1500))
    assert essence(whole) == essence(message)
    assert whole["usage"] == WRITTEN
    assert (whole["type"], whole["role"], whole["model"]) == ("message", "assistant", "claude-x")


@settings(max_examples=150, deadline=None)
@given(streamed(), st.data())
def test_a_stream_survives_it_however_it_was_cut(case: tuple[Json, bytes], data: st.DataObject) -> None:
    message, wire = case
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    parts = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    _, chunks = read(*parts)
    found = assembled(*[chunk.value for chunk in chunks if chunk.value is not None])
    assert essence(found) == essence(message)
    assert found["usage"] == WRITTEN


def test_the_events_of_a_text() -> None:
    events = told(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}, "stop"),
    )
    start, *middle, last, stop = events
    assert start["message"] == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 7,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 0,
            "output_tokens_details": {"thinking_tokens": 0},
        },
    }
    assert middle == [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
        {"type": "content_block_stop", "index": 0},
    ]
    assert last["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert (last["usage"], stop) == (WRITTEN, {"type": "message_stop"})


def call(index: int, arguments: str, **fields: Any) -> Json:
    return chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments, **fields}}]})


def test_one_block_is_open_at_a_time() -> None:
    begun = [
        {"index": place, "id": f"call_{place}", "type": "function", "function": {"name": name}}
        for place, name in enumerate("fg")
    ]
    events = told(
        chunk({"reasoning_content": "Hm"}),
        chunk({"content": "Look"}),
        chunk({"tool_calls": [begun[0]]}),
        call(0, '{"a"'),
        call(0, ":1}"),
        chunk({"tool_calls": [begun[1]]}),
        call(1, "{}"),
        call(0, ""),
        chunk({}, "tool_calls"),
    )
    shape = [(event["type"].removeprefix("content_block_"), event.get("index")) for event in events[1:-2]]
    assert shape == [
        *[("start", 0), ("delta", 0), ("stop", 0)],
        *[("start", 1), ("delta", 1), ("stop", 1)],
        *[("start", 2), ("delta", 2), ("delta", 2), ("stop", 2)],
        *[("start", 3), ("delta", 3), ("stop", 3)],
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_calls_without_a_place_are_told_by_their_ids() -> None:
    calls = [{"id": f"c{n}", "function": {"name": "f", "arguments": f'{{"n":{n}}}'}} for n in (1, 2)]
    found = assembled(chunk({"tool_calls": calls}), chunk({}, "stop"))
    assert [(block["id"], block["input"]) for block in found["content"]] == [
        ("c1", {"n": 1}),
        ("c2", {"n": 2}),
    ]
    assert found["stop_reason"] == "tool_use"


def test_calls_that_share_an_index_are_told_by_their_ids() -> None:
    begun = [
        {"index": 0, "id": f"c{n}", "function": {"name": "f", "arguments": f'{{"n":{n}}}'}} for n in (1, 2)
    ]
    found = assembled(*[chunk({"tool_calls": [one]}) for one in begun], chunk({}, "tool_calls"))
    assert [(block["id"], block["input"]) for block in found["content"]] == [
        ("c1", {"n": 1}),
        ("c2", {"n": 2}),
    ]


def opened(place: int, arguments: str = "") -> Json:
    function = {"name": f"f{place}", "arguments": arguments}
    return {"index": place, "id": f"c{place}", "type": "function", "function": function}


def inputs(*chunks: Json) -> list[Any]:
    return [(block["id"], block["name"], block["input"]) for block in assembled(*chunks)["content"]]


def test_calls_whose_pieces_come_in_turns_are_told_one_after_the_other() -> None:
    chunks = [
        chunk({"tool_calls": [opened(0), opened(1)]}),
        call(1, '{"b"'),
        call(0, '{"a"'),
        chunk({"tool_calls": [opened(2, "{}")]}),
        call(1, ":2}"),
        call(0, ":1}"),
        chunk({}, "tool_calls"),
    ]
    assert inputs(*chunks) == [("c0", "f0", {"a": 1}), ("c1", "f1", {"b": 2}), ("c2", "f2", {})]
    events = [event for event in told(*chunks) if event["type"].startswith("content_block")]
    assert [event["index"] for event in events] == sorted(event["index"] for event in events)
    one = encoder()
    assert [b"partial_json" in one.events(each) for each in chunks] == [False] * 2 + [True] + [False] * 2 + [
        True,
        False,
    ]


def test_a_call_is_told_as_it_comes_once_the_one_before_it_is_whole() -> None:
    one = encoder()
    one.events(chunk({"tool_calls": [opened(0, '{"a":1}')]}))
    assert b'"index":1,"content_block"' in one.events(chunk({"tool_calls": [opened(1, '{"b":')]}))
    assert b'"partial_json":"2}"' in one.events(call(1, "2}"))
    assert one.events(call(0, "\n")) == b""


def test_a_text_ends_the_calls_before_it() -> None:
    one = encoder()
    one.events(chunk({"tool_calls": [opened(0), opened(1, "{}")]}))
    assert one.events(chunk({"content": "So."})).count(b'content_block_stop"') == 2
    assert one.events(call(0, "")) == b""
    with pytest.raises(ValueError):
        one.events(call(0, "{"))


@pytest.mark.parametrize("text", ["nope", "[1]", ' "a"', "1"])
def test_arguments_that_are_no_object_come_as_text_in_streams_too(text: str) -> None:
    wrapped = {"raw_arguments": text}
    end = chunk({}, "tool_calls")
    alone = [chunk({"tool_calls": [opened(0)]}), *map(call, [0] * len(text), text), end]
    assert inputs(*alone) == [("c0", "f0", wrapped)]
    waiting = [chunk({"tool_calls": [opened(0), opened(1, text)]}), end]
    assert inputs(*waiting) == [("c0", "f0", {}), ("c1", "f1", wrapped)]


@pytest.mark.parametrize("arguments", [{"x": 1}, 1, ["{}"]])
def test_arguments_that_are_no_text_are_an_error(arguments: object) -> None:
    piece = {**opened(0), "function": {"name": "f", "arguments": arguments}}
    with pytest.raises(TypeError):
        encoder().events(chunk({"tool_calls": [piece]}))
    completion = {"id": "1", "model": "m", "choices": [{"message": {"tool_calls": [piece]}}]}
    with pytest.raises(TypeError):
        encoder().whole(completion, USAGE, 0)


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        (THINKING, ["thinking", "text"]),
        ({}, ["text"]),
        ({"thinking": {"type": "disabled"}}, ["text"]),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, ["text"]),
    ],
)
def test_thoughts_are_for_who_asked(body: Json, kinds: list[str]) -> None:
    found = assembled(chunk({"reasoning": "Hm"}), chunk({"content": "Yes"}, "stop"), body=body)
    assert [block["type"] for block in found["content"]] == kinds
    said = {"role": "assistant", "content": "Yes", "reasoning_content": "Hm"}
    completion = {"id": "1", "model": "m", "choices": [{"message": said, "finish_reason": "stop"}]}
    whole = orjson.loads(encoder(body).whole(completion, USAGE, None))
    assert [block["type"] for block in whole["content"]] == kinds
    assert whole["usage"]["cost"] is None


@pytest.mark.parametrize(
    ("finish", "said", "reason"),
    [
        ("stop", {"content": "a"}, "end_turn"),
        ("length", {"content": "a"}, "max_tokens"),
        ("content_filter", {"content": "a"}, "refusal"),
        ("stop", {"refusal": "No."}, "refusal"),
        ("something_new", {"content": "a"}, "end_turn"),
    ],
)
def test_why_it_stopped(finish: str, said: Json, reason: str) -> None:
    assert assembled(chunk(said), chunk({}, finish))["stop_reason"] == reason
    completion = {"id": "1", "model": "m", "choices": [{"message": said, "finish_reason": finish}]}
    assert orjson.loads(encoder().whole(completion, USAGE, 0))["stop_reason"] == reason


def test_arguments_that_are_no_object_are_handed_on_as_text() -> None:
    said = {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{cut"}}]}
    completion = {"id": "1", "model": "m", "choices": [{"message": said, "finish_reason": "length"}]}
    (block,) = orjson.loads(encoder().whole(completion, USAGE, 0))["content"]
    assert block["input"] == {"raw_arguments": "{cut"}


def test_numbers_in_arguments_keep_their_digits() -> None:
    arguments = '{"account": 12345678901234567890123}'
    said = {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": arguments}}]}
    completion = {"id": "1", "model": "m", "choices": [{"message": said, "finish_reason": "tool_calls"}]}
    assert f'"input":{arguments}'.encode() in encoder().whole(completion, USAGE, 0)


def test_text_in_parts_is_text() -> None:
    parts = [
        {"type": "text", "text": "a"},
        {"type": "thinking", "thinking": []},
        {"type": "text", "text": "b"},
    ]
    assert assembled(chunk({"content": parts}, "stop"))["content"] == [{"type": "text", "text": "ab"}]


def test_the_end_can_be_told_twice() -> None:
    one = encoder()
    one.events(chunk({"content": "a"}, "stop"))
    assert one.end(USAGE, 1500) == one.end(USAGE, 1500)
    assert b'"cost":0}' in one.end(USAGE, 0)


def test_an_error_in_the_middle() -> None:
    event = encoder().broken(ApiError("upstream_overloaded", "Later."), "req-1")
    assert event == (
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Later.",'
        b'"details":{"error_code":"upstream_overloaded"}},"request_id":"req-1"}\n\n'
    )


@pytest.mark.parametrize("value", [{"choices": []}, {"choices": [{"message": None}]}, {}])
def test_what_is_no_answer_is_not_told(value: Json) -> None:
    with pytest.raises((AttributeError, LookupError, TypeError)):
        encoder().whole(value, USAGE, 0)
