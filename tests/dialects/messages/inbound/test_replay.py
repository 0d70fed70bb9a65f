"""Messages given again as streams, and streams put together."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.messages.inbound.replay import Assembly, as_stream
from gateway.dialects.replay import Inexact
from tests.dialects.messages.streams import WIRE, encode, messages, streamed

Json = dict[str, Any]
CITED: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "https://example.com"}]},
        {"type": "text", "text": "So", "citations": [{"url": "https://example.com", "n": 1}]},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "stop_details": None,
    "usage": {"input_tokens": 1, "output_tokens": 2, "cost": 0},
}
START = {"type": "message_start", "message": {"id": "msg_1", "content": [], "usage": {"input_tokens": 1}}}


def assembled(*parts: bytes) -> Json:
    assembly = Assembly()
    for part in parts:
        assembly.feed(part)
    return assembly.whole()


@settings(max_examples=150, deadline=None)
@given(messages() | st.just(CITED), st.data())
def test_a_message_comes_back_from_its_stream(message: Json, data: st.DataObject) -> None:
    wire = as_stream(message, False)
    cut = data.draw(st.integers(0, len(wire)))
    assert assembled(wire[:cut], wire[cut:]) == {"stop_sequence": None, **message}


@settings(max_examples=100, deadline=None)
@given(streamed())
def test_anthropics_own_streams_are_put_together(case: tuple[Json, bytes]) -> None:
    message, wire = case
    assert assembled(wire) == {"stop_sequence": None, **message}


@pytest.mark.parametrize("name", ["text", "tools", "refusal"])
def test_recorded_streams(name: str) -> None:
    found = assembled((WIRE / f"{name}.sse").read_bytes())
    meant = orjson.loads((WIRE / f"{name}.json").read_bytes())
    assert found["content"] == meant["content"]
    assert found["stop_reason"] == meant["stop_reason"]


def test_figures_of_the_end_are_not_told_at_the_start() -> None:
    start = orjson.loads(as_stream(CITED, False).split(b"\n")[1].removeprefix(b"data: "))
    assert start["message"]["usage"] == {"input_tokens": 1, "output_tokens": 0}


@pytest.mark.parametrize(
    "events",
    [
        [],
        [START],
        [START, {"type": "error", "error": {"type": "overloaded_error"}}],
        [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}],
        [START, {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}],
        [
            START,
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "new_delta"}},
        ],
        [
            START,
            {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "input": {}}},
            {"type": "content_block_delta", "index": 0,
             "delta": {"type": "input_json_delta", "partial_json": "{"}},
            {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}},
        ],
    ],
)  # fmt: skip
def test_what_nobody_can_put_together(events: list[Json]) -> None:
    with pytest.raises(Inexact):
        assembled(*map(encode, events))
