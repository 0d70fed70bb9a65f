"""Streams of Anthropic's as chunks of OpenAI's."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Kind, Usage
from gateway.dialects.messages.answer import to_chat
from gateway.dialects.messages.usage import chat_usage
from tests.dialects.messages.streams import WIRE, assemble, encode, read, streamed, values

Json = dict[str, Any]
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "x"}}
START: dict[str, Any] = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": []}}


def comparable(choice: Json) -> Json:
    """With the arguments of calls as what they mean: their spelling is free."""
    for call in choice["message"].get("tool_calls", []):
        call["function"]["arguments"] = orjson.loads(call["function"]["arguments"])
    return choice


@settings(max_examples=150, deadline=None)
@given(streamed())
def test_a_stream_adds_up_to_the_whole_answer(case: tuple[Json, bytes]) -> None:
    message, wire = case
    reader, chunks = read(wire)
    assert reader.fault is None and reader.complete
    whole = to_chat(message, 0)["choices"][0]
    assert comparable(assemble(values(chunks))) == comparable(whole)


@settings(max_examples=100, deadline=None)
@given(streamed(), st.booleans(), st.data())
def test_any_cut_gives_the_same_chunks(
    case: tuple[Json, bytes], include_usage: bool, data: st.DataObject
) -> None:
    wire = case[1]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    parts = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    once, cut = (read(*given_, include_usage=include_usage) for given_ in ([wire], parts))
    assert values(once[1]) == values(cut[1])
    assert [(c.content, c.usage) for c in once[1]] == [(c.content, c.usage) for c in cut[1]]
    assert (once[0].usage, once[0].produced) == (cut[0].usage, cut[0].produced)


@pytest.mark.parametrize("name", ["text", "tools", "refusal"])
def test_recorded_streams_byte_by_byte(name: str) -> None:
    wire = (WIRE / f"{name}.sse").read_bytes()
    reader, chunks = read(*[wire[at : at + 1] for at in range(len(wire))])
    whole = to_chat(orjson.loads((WIRE / f"{name}.json").read_bytes()), 0)
    assert reader.fault is None and reader.complete and reader.done
    assert comparable(assemble(values(chunks))) == comparable(whole["choices"][0])
    for value in values(chunks):
        assert (value["id"], value["model"]) == (whole["id"], whole["model"])
        assert value["object"] == "chat.completion.chunk"


def test_the_chunks_of_tool_calls() -> None:
    _, chunks = read((WIRE / "tools.sse").read_bytes())
    deltas = [value["choices"][0]["delta"] for value in values(chunks)]
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    signed = {
        "type": "thinking",
        "thinking": "Two places, two calls.",
        "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h==",
    }
    assert deltas[3] == {"reasoning_details": [{**signed, "index": 0}]}
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    first = {
        "index": 0,
        "id": "toolu_01A",
        "type": "function",
        "function": {"name": "get_weather", "arguments": ""},
    }
    assert calls[0] == first
    assert calls[1:3] == [
        {"index": 0, "function": {"arguments": '{"location": "Sã'}},
        {"index": 0, "function": {"arguments": 'o Paulo"}'}},
    ]
    assert [call["index"] for call in calls] == [0, 0, 0, 1, 1]
    assert calls[4]["function"] == {"arguments": "{}"}
    assert [chunk.content for chunk in chunks] == [False] + [True] * (len(chunks) - 2) + [False]


def test_usage_is_for_those_who_ask() -> None:
    wire = (WIRE / "text.sse").read_bytes()
    reader, silent = read(wire)
    assert reader.usage == Usage(input=25, cache_read=2000, cache_write=100, output=15)
    assert not any("usage" in value for value in values(silent))
    _, asked = read(wire, include_usage=True)
    *earlier, last = values(asked)
    assert all(value["usage"] is None for value in earlier)
    assert last["choices"] == [] and last["usage"] == chat_usage(reader.usage) and asked[-1].usage


def test_the_figures_of_the_start_are_those_of_the_input() -> None:
    reader, _ = read((WIRE / "overloaded.sse").read_bytes(), include_usage=True)
    assert reader.usage == Usage(input=30, estimated=True) and reader.produced == len("Half an")


def test_an_error_in_the_stream_ends_it() -> None:
    reader, chunks = read((WIRE / "overloaded.sse").read_bytes())
    assert reader.fault is not None and reader.fault.kind is Kind.OVERLOADED
    assert not reader.complete
    assert assemble(values(chunks))["message"]["content"] == "Half an"


@pytest.mark.parametrize(
    ("wire", "kind"),
    [
        (b"", Kind.FAILED),
        (b"<html>502</html>\n\n", Kind.FAILED),
        (encode(START), Kind.FAILED),
        (encode(START)[:-9], Kind.FAILED),
        (b"data: {broken\n\n" + encode(START), Kind.INVALID),
        (b"data: [1]\n\n", Kind.INVALID),
        (encode(START) + b'data: {"type": "content_block_delta", "index": 0}\n\n', Kind.INVALID),
        (encode(BLOCK), Kind.INVALID),
        (encode({"type": "error", "error": {"type": "rate_limit_error"}}), Kind.LIMITED),
        (encode({"type": "error", "error": "?"}), Kind.FAILED),
        (b'{"type": "error", "error": {"type": "overloaded_error"}}', Kind.OVERLOADED),
        (b'{"type": "message", "content": []}', Kind.FAILED),
    ],
)
def test_what_is_no_stream(wire: bytes, kind: Kind) -> None:
    reader, chunks = read(wire)
    assert reader.fault is not None and reader.fault.kind is kind
    assert not any(chunk.content for chunk in chunks)


def test_a_finish_reason_is_an_end_even_if_the_last_event_is_cut() -> None:
    wire = (WIRE / "text.sse").read_bytes()
    for end in (wire.index(b"event: message_stop"), len(wire) - 9, len(wire) - 1):
        reader, chunks = read(wire[:end], include_usage=True)
        assert reader.fault is None and reader.complete and chunks[-1].usage


@pytest.mark.parametrize("cut", [0, 20])
def test_nothing_is_read_behind_the_last_event(cut: int) -> None:
    wire = (WIRE / "text.sse").read_bytes()
    reader, chunks = read(wire, include_usage=True)
    odd = b'data: {"odd": 1}\n\n'
    again, same = read(wire + odd[:cut], odd[cut:], include_usage=True)
    assert reader.done and again.done and again.fault is None and again.complete
    assert values(same) == values(chunks)


def test_no_figure_of_zero_replaces_another() -> None:
    start = {**START, "message": {**START["message"], "usage": {"input_tokens": 100}}}
    usage = {"input_tokens": 0, "output_tokens": 40}
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    assert read(encode(start) + encode(delta))[0].usage == Usage(100, output=40)


@pytest.mark.parametrize("count", [-1, "15", 10**18, 1.5, True, None])
def test_figures_that_make_no_sense_are_none(count: object) -> None:
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": count}}
    reader, chunks = read(encode(START) + encode(delta), include_usage=True)
    assert reader.usage is None and reader.fault is None and not any(chunk.usage for chunk in chunks)


def test_too_large_an_event() -> None:
    reader, _ = read(b"data: " + b"x" * (17 * 1024 * 1024))
    assert reader.fault is not None and reader.fault.kind is Kind.INVALID
