"""Responses given again: as streams, and out of streams."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.replay import Inexact
from gateway.dialects.responses.replay import Assembly, as_stream
from tests.dialects.responses.events import told

TEXT = {"type": "output_text", "text": "Hello.", "annotations": [], "logprobs": []}
CITED = {"type": "url_citation", "start_index": 0, "end_index": 1, "title": "T", "url": "https://e"}
ITEMS: list[dict[str, Any]] = [
    {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
    {
        "id": "rs_2",
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "So."}],
        "encrypted_content": "gAAAA",
    },
    {"id": "rs_3", "type": "reasoning", "summary": [], "content": None},
    {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [TEXT]},
    {
        "id": "msg_2",
        "type": "message",
        "role": "assistant",
        "status": "incomplete",
        "phase": "final_answer",
        "content": [{**TEXT, "annotations": [CITED]}, {"type": "refusal", "refusal": "No."}],
    },
    {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "call_1",
        "name": "f",
        "arguments": "{}",
        "status": "completed",
    },
    {"id": "ctc_1", "type": "custom_tool_call", "call_id": "call_2", "name": "exec", "input": "ls"},
    {
        "id": "ws_1",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    },
]


def as_whole(stream: bytes) -> dict[str, Any]:
    assembly = Assembly()
    assembly.feed(stream)
    return assembly.whole()


def response(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-5",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
        **more,
    }


@pytest.mark.parametrize("item", ITEMS, ids=[item["id"] for item in ITEMS])
def test_each_kind_of_item(item: dict[str, Any]) -> None:
    whole = response(item)
    stream = as_stream(whole)
    assert told(stream) == whole
    assert as_whole(stream) == whole


@given(st.lists(st.sampled_from(ITEMS), max_size=5), st.integers(1, 80))
def test_a_stream_is_put_together_however_it_is_cut(items: list[dict[str, Any]], size: int) -> None:
    whole = response(*items, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    stream = as_stream(whole)
    assembly = Assembly()
    for at in range(0, len(stream), size):
        assembly.feed(stream[at : at + size])
    assert assembly.whole() == whole


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b": comment\n\n",
        b"event: response.created\ndata: {}\n\n",
        b"event: response.completed\ndata: {not json\n\n",
        b'event: response.completed\ndata: {"type":"response.completed","response":7}\n\n',
        b"event: error\ndata: " + orjson.dumps({"type": "error", "message": "No."}) + b"\n\n",
    ],
)
def test_what_has_no_end_is_no_answer(stream: bytes) -> None:
    with pytest.raises(Inexact):
        as_whole(stream)
