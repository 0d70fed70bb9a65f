"""Messages for clients that speak Messages: nothing is changed that need not be."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Call, Kind, Unsupported, Usage
from gateway.dialects.chat_usage import with_cost
from gateway.dialects.messages.native import NativeStream, NativeWhole, addressed
from tests.dialects.messages.streams import WIRE, encode, streamed

Json = dict[str, Any]
START = {"type": "message_start", "message": {"id": "msg_1", "content": [], "usage": {"input_tokens": 1}}}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}
STOP = {"type": "message_stop"}


def call(body: Json, ceiling: int | None = None) -> Call:
    return Call(
        "messages", "upstream-model", {"model": "alias", "max_tokens": 4000, **body}, max_tokens=ceiling
    )


def wire(*events: Json) -> list[bytes]:
    return [encode(event) for event in events]


def read(*parts: bytes) -> tuple[NativeStream, bytes, list[tuple[bool, bool]]]:
    """The reader, all bytes that go on, and what each chunk holds of content and usage."""
    reader = NativeStream()
    chunks = [chunk for part in parts for chunk in reader.feed(part)]
    chunks += reader.finish()
    ending = b"" if reader.ending is None else reader.ending.raw
    marks = [(chunk.content, chunk.usage) for chunk in chunks]
    return reader, b"".join(chunk.raw for chunk in chunks) + ending, marks


def test_half_a_character_passes_as_it_came() -> None:
    start, block, delta, end, stop = wire(START, BLOCK, DELTA, END, STOP)
    halves = [delta.replace(b"Hi", half) for half in (rb"Hi \ud83d", rb"\ude00")]
    sent = b"".join([start, block, *halves, end, stop])
    reader, passed, _ = read(sent)
    assert passed == sent and reader.fault is None and reader.complete
    whole = NativeWhole(counting=False)
    text = {"type": "text", "text": "Hi"}
    body = orjson.dumps({"content": [text], "usage": {"input_tokens": 1, "output_tokens": 1}})
    body = body.replace(b"Hi", rb"Hi \ud83d")
    whole.feed(body)
    assert [chunk.raw for chunk in whole.finish()] == [body] and whole.usage == Usage(input=1, output=1)


@settings(max_examples=150, deadline=None)
@given(streamed(), st.data())
def test_a_stream_passes_byte_for_byte_however_it_was_cut(
    case: tuple[Json, bytes], data: st.DataObject
) -> None:
    message, sent = case
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    parts = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    reader, passed, _ = read(*parts)
    assert passed == sent
    assert reader.fault is None and reader.done and reader.ending is not None
    usage = message["usage"]
    assert reader.usage is not None
    assert reader.usage.cache_read == usage["cache_read_input_tokens"]
    assert (reader.usage.input, reader.usage.completion) == (usage["input_tokens"], usage["output_tokens"])


@pytest.mark.parametrize("name", ["text", "tools", "refusal"])
def test_recorded_streams_byte_by_byte(name: str) -> None:
    sent = (WIRE / f"{name}.sse").read_bytes()
    reader, passed, marks = read(*[sent[at : at + 1] for at in range(len(sent))])
    assert passed.rstrip() == sent.rstrip() and reader.complete
    assert sum(usage for _, usage in marks) == 1


def test_what_is_content() -> None:
    _, _, marks = read(*wire(START, {"type": "ping"}, BLOCK, DELTA, END, STOP))
    assert marks == [(False, False), (False, False), (False, False), (True, False), (False, True)]


def test_the_usage_gets_its_cost_and_the_event_keeps_its_name() -> None:
    told = with_cost(encode(END), 1500)
    assert told.startswith(b"event: message_delta\ndata: ")
    assert told.replace(b'"cost":0.0000015,', b"") == encode(END)
    twice = {**END, "delta": {"stop_reason": "end_turn", "note": "usage"}}
    again = with_cost(encode(twice), 0)
    assert again.startswith(b"event: message_delta\ndata: ")
    assert orjson.loads(again.split(b"data: ")[1])["usage"] == {"output_tokens": 3, "cost": 0}


def test_a_stream_that_lacks_only_its_last_event_is_complete() -> None:
    reader, _, _ = read(*wire(START, BLOCK, DELTA, END))
    assert reader.complete and not reader.done and reader.ending is None and reader.fault is None


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([START, BLOCK, DELTA], Kind.FAILED),
        ([START, STOP], Kind.FAILED),
        ([], Kind.FAILED),
        ([START, {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}], Kind.OVERLOADED),
        ([START, {"type": "content_block_delta", "index": 0}], Kind.INVALID),
    ],
)
def test_streams_that_break(events: list[Json], kind: Kind) -> None:
    reader, passed, _ = read(*wire(*events))
    assert reader.fault is not None and reader.fault.kind is kind
    assert b"error" not in passed


def test_an_error_in_place_of_a_stream() -> None:
    error = orjson.dumps({"type": "error", "error": {"type": "rate_limit_error", "message": "x"}})
    reader, _, _ = read(error + b"\n\n")
    assert reader.fault is not None and reader.fault.kind is Kind.LIMITED


def whole(body: bytes, *, counting: bool = False) -> tuple[NativeWhole, list[tuple[bytes, bool]]]:
    reader = NativeWhole(counting=counting)
    for at in range(len(body)):
        assert reader.feed(body[at : at + 1]) == []
    return reader, [(chunk.raw, chunk.usage) for chunk in reader.finish()]


def test_a_whole_message_passes_as_it_is() -> None:
    body = (WIRE / "tools.json").read_bytes()
    reader, chunks = whole(body)
    assert chunks == [(body, True)] and reader.complete
    assert reader.usage is not None and reader.usage.total > 0 and reader.produced > 0


def test_a_count_costs_nothing() -> None:
    reader, chunks = whole(b'{"input_tokens":14}', counting=True)
    assert chunks == [(b'{"input_tokens":14}', False)]
    assert reader.usage == Usage() and reader.complete


@pytest.mark.parametrize(
    ("body", "counting", "kind"),
    [
        (b"<html>", False, Kind.FAILED),
        (b"{", False, Kind.INVALID),
        (b"{}", False, Kind.INVALID),
        (b'{"content":[1]}', False, Kind.INVALID),
        (b"{}", True, Kind.INVALID),
        (b'{"input_tokens":"9"}', True, Kind.INVALID),
        (b'{"type":"error","error":{"type":"overloaded_error"}}', False, Kind.OVERLOADED),
    ],
)
def test_what_is_no_answer(body: bytes, counting: bool, kind: Kind) -> None:
    reader, chunks = whole(body, counting=counting)
    assert chunks == [] and not reader.complete
    assert reader.fault is not None and reader.fault.kind is kind


def test_only_the_model_changes() -> None:
    body: Json = {"messages": [{"role": "user", "content": "Hi"}], "new": [None, 1.0], "stream": True}
    assert addressed(call(body)) == ({"max_tokens": 4000, **body, "model": "upstream-model"}, ())


def test_the_operators_ceiling() -> None:
    hello: Json = {"messages": [{"role": "user", "content": "Hi"}]}
    assert addressed(call(hello, 100))[0]["max_tokens"] == 100
    thinking = {"type": "enabled", "budget_tokens": 3000}
    lowered, _ = addressed(call({**hello, "thinking": thinking}, 2000))
    assert (lowered["max_tokens"], lowered["thinking"]["budget_tokens"]) == (2000, 1500)
    assert addressed(call({**hello, "thinking": thinking}, 3001))[0]["thinking"] == thinking
    with pytest.raises(Unsupported, match="thinking"):
        addressed(call({**hello, "thinking": thinking}, 1200))


def test_thoughts_without_a_signature_are_another_providers() -> None:
    signed = {"type": "thinking", "thinking": "a", "signature": "s"}
    unsigned = {"type": "thinking", "thinking": "a", "signature": ""}
    text = {"type": "text", "text": "b"}
    body: Json = {
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [unsigned, signed, text]},
        ]
    }
    sent = addressed(call(body))[0]["messages"]
    assert sent == [body["messages"][0], {"role": "assistant", "content": [signed, text]}]
    assert len(body["messages"][1]["content"]) == 3


HELLO = {"role": "user", "content": "Hi"}
UNSIGNED = {"type": "thinking", "thinking": "a", "signature": ""}
SIGNED = {"type": "thinking", "thinking": "a", "signature": "s"}
USED = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "r"}]}
THINKING = {"type": "enabled", "budget_tokens": 1024}


def answer(*blocks: Json) -> Json:
    return {"role": "assistant", "content": list(blocks)}


def test_a_turn_of_unsigned_thoughts_alone_is_none() -> None:
    body = {"messages": [HELLO, answer(UNSIGNED), HELLO]}
    assert addressed(call(body))[0]["messages"] == [HELLO, HELLO]


@pytest.mark.parametrize(
    ("messages", "thinks"),
    [
        ([HELLO, answer(UNSIGNED, USED), RESULT], False),
        ([HELLO, answer(UNSIGNED, USED), RESULT, answer(SIGNED, USED), RESULT], False),
        ([HELLO, answer(SIGNED, UNSIGNED, USED), RESULT], True),
        ([HELLO, answer(UNSIGNED, {"type": "text", "text": "b"}), HELLO], True),
        ([HELLO, answer(UNSIGNED, USED), RESULT, answer({"type": "text", "text": "b"}), HELLO], True),
        ([HELLO, answer(USED), RESULT], True),
    ],
)
def test_calls_of_another_provider_that_thought_end_without_thinking(
    messages: list[Json], thinks: bool
) -> None:
    sent, dropped = addressed(call({"messages": messages, "thinking": THINKING}))
    assert ("thinking" in sent, dropped) == (thinks, () if thinks else ("thinking",))


def test_a_model_that_decides_itself_goes_on_thinking() -> None:
    adaptive = {"type": "adaptive"}
    sent, dropped = addressed(
        call({"messages": [HELLO, answer(UNSIGNED, USED), RESULT], "thinking": adaptive})
    )
    assert sent["thinking"] == adaptive and dropped == ()


def test_a_cost_that_the_upstream_names_is_replaced_whatever_its_figures_are() -> None:
    usage = {"output_tokens": "many", "cost": 99}
    _, _, marks = read(b"".join(wire({**START, "message": {}}, BLOCK, DELTA, {**END, "usage": usage}, STOP)))
    assert (False, True) in marks
    whole = NativeWhole(counting=False)
    whole.feed(orjson.dumps({"content": [], "usage": usage}))
    assert [chunk.usage for chunk in whole.finish()] == [True]


def test_no_figure_of_zero_replaces_another() -> None:
    usage = {"input_tokens": 0, "cache_read_input_tokens": 5, "output_tokens": 3}
    reader, *_ = read(b"".join(wire(START, BLOCK, DELTA, {**END, "usage": usage}, END, STOP)))
    assert reader.usage == Usage(input=1, cache_read=5, output=3)
