"""Native responses: bytes pass unchanged, and what matters in them is noticed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Chunk, Kind, Usage
from gateway.dialects import sse
from gateway.dialects.chat_usage import with_cost
from gateway.dialects.responses.reader import BodyReader, StreamReader
from gateway.dialects.responses.stream import event

USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 14,
}
FIGURES = Usage(input=4, cache_read=4, cache_write=1, output=3, reasoning=2)
PART = {"type": "output_text", "text": "Hi", "annotations": []}
OUTPUT = [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [PART]}]
WHOLE = {"id": "resp_1", "object": "response", "status": "completed", "output": OUTPUT, "usage": USAGE}
BEGUN = {**WHOLE, "status": "in_progress", "output": [], "usage": None}

CREATED = event({"type": "response.created", "response": BEGUN}, 0)
ADDED = event({"type": "response.output_item.added", "output_index": 0, "item": {}}, 1)
TEXT = event({"type": "response.output_text.delta", "delta": "Hi"}, 2)
DONE = event({"type": "response.output_item.done", "output_index": 0, "item": OUTPUT[0]}, 3)
END = event({"type": "response.completed", "response": WHOLE}, 4)


def read(*pieces: bytes) -> tuple[list[Chunk], StreamReader]:
    reader = StreamReader()
    chunks = [chunk for piece in pieces for chunk in reader.feed(piece)]
    return chunks + reader.finish(), reader


def whole(body: object) -> tuple[list[Chunk], BodyReader]:
    reader = BodyReader()
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    assert reader.feed(raw[:5]) == reader.feed(raw[5:]) == []
    return reader.finish(), reader


def test_a_stream() -> None:
    chunks, reader = read(CREATED + ADDED, TEXT + DONE, END)
    assert chunks == [
        Chunk(CREATED + ADDED),
        Chunk(TEXT + DONE, content=True),
    ]
    assert reader.ending == Chunk(END, usage=True) and reader.done
    assert (reader.usage, reader.complete, reader.fault, reader.produced) == (FIGURES, True, None, 2)


def test_half_a_character_passes_as_it_came() -> None:
    text, end = (part.replace(b'"Hi"', rb'"Hi \ud83d"') for part in (TEXT, END))
    chunks, reader = read(CREATED + text, end)
    assert chunks == [Chunk(CREATED + text, content=True)]
    assert (reader.ending, reader.usage, reader.fault) == (Chunk(end, usage=True), FIGURES, None)
    raw = orjson.dumps(WHOLE).replace(b'"Hi"', rb'"Hi \ud83d"')
    assert whole(raw)[0] == [Chunk(raw, content=True, usage=True)]


@given(st.lists(st.integers(1, 200), min_size=1, max_size=20))
def test_any_cut_gives_the_same(sizes: list[int]) -> None:
    stream, pieces, at = CREATED + ADDED + b": ping\n\n" + TEXT + DONE + END, [], 0
    for size in sizes:
        pieces.append(stream[at : at + size])
        at += size
    chunks, reader = read(*pieces, stream[at:])
    assert b"".join(chunk.raw for chunk in chunks) + END == stream
    assert reader.ending == Chunk(END, usage=True)
    assert (reader.usage, reader.complete, reader.fault, reader.produced) == (FIGURES, True, None, 2)
    shown = next(place for place, chunk in enumerate(chunks) if chunk.content)
    assert TEXT not in b"".join(chunk.raw for chunk in chunks[:shown])


def test_nothing_follows_the_end() -> None:
    chunks, reader = read(CREATED + TEXT + END + b"data: [DONE]\n\n" + TEXT, TEXT)
    assert b"".join(chunk.raw for chunk in chunks) == CREATED + TEXT
    assert (reader.ending, reader.produced) == (Chunk(END, usage=True), 2)


def test_an_answer_that_was_cut_short_by_its_limit_is_complete() -> None:
    end = event({"type": "response.incomplete", "response": {**WHOLE, "status": "incomplete"}}, 3)
    _, reader = read(CREATED + TEXT, end)
    assert reader.ending == Chunk(end, usage=True)
    assert (reader.complete, reader.fault) == (True, None)


@pytest.mark.parametrize(
    "kind",
    [
        *("response.created", "response.queued", "response.in_progress", "response.output_item.added"),
        *("response.content_part.added", "response.reasoning_summary_part.added", "keepalive"),
    ],
)
def test_what_begins_is_no_content(kind: str) -> None:
    [chunk], _ = read(event({"type": kind}, 0))
    assert not chunk.content


@pytest.mark.parametrize(
    "kind", ["response.web_search_call.searching", "response.function_call_arguments.done", "response.new"]
)
def test_what_happens_is_content(kind: str) -> None:
    [chunk], _ = read(event({"type": kind}, 0))
    assert chunk.content


def test_an_empty_delta_is_no_content() -> None:
    [chunk], _ = read(event({"type": "response.output_text.delta", "delta": ""}, 0))
    assert not chunk.content


@pytest.mark.parametrize("stream", [b"", CREATED, CREATED + TEXT, CREATED + TEXT + DONE])
def test_a_stream_that_ends_early_is_a_failure(stream: bytes) -> None:
    _, reader = read(stream)
    assert reader.fault is not None and reader.fault.kind is Kind.FAILED and not reader.complete


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"code": "server_error", "message": "Oops."}, Kind.FAILED, 0),
        ({"code": "rate_limit_exceeded", "message": "Slow."}, Kind.LIMITED, 0),
        ({"code": "invalid_prompt", "message": "No."}, Kind.CALLER, 400),
        ({"code": "failed_to_download_image", "message": "Gone."}, Kind.CALLER, 400),
        ({"code": "context_length_exceeded", "message": "Long."}, Kind.CALLER, 400),
        ({"code": "credit_balance_exhausted", "message": "Poor."}, Kind.QUOTA, 0),
        ({"code": ["odd"], "message": "Odd."}, Kind.FAILED, 0),
        (None, Kind.FAILED, 0),
    ],
)
def test_errors(error: Any, kind: Kind, status: int) -> None:
    failed = {**WHOLE, "status": "failed", "error": error}
    events = [
        event({"type": "response.failed", "response": failed}, 1),
        event({"type": "error", "error": error or {"message": "x"}}, 1),
        event({"type": "error", **(error or {"message": "x"})}, 1),
        b"data: " + orjson.dumps({"error": error or {"message": "x"}}) + b"\n\n",
    ]
    faults = []
    for last in events:
        chunks, reader = read(CREATED, last, TEXT + END)
        assert chunks == [Chunk(CREATED)] and reader.fault is not None
        faults.append((reader.fault.kind, reader.fault.status))
    if error is not None:
        fault = whole(failed)[1].fault
        assert fault is not None
        faults.append((fault.kind, fault.status))
    assert set(faults) == {(kind, status)}


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (b"data: nothing\n\n", Kind.INVALID),
        (b"data: []\n\n", Kind.INVALID),
        (b"data: {}\n\n", Kind.INVALID),
        (b'data: {"type":[]}\n\n', Kind.INVALID),
        (b'data: {"type":"response.completed"}\n\n', Kind.INVALID),
        (b"<html></html>\n\n", Kind.INVALID),
        (b'{"error":{"message":"No.","code":"rate_limit_exceeded"}}', Kind.LIMITED),
        (b'{"id":"resp_1"}', Kind.INVALID),
        (b'data: {"id":"c","object":"chat.completion.chunk","choices":[]}\n\n', Kind.INVALID),
    ],
)
def test_what_is_no_stream_of_a_response(stream: bytes, kind: Kind) -> None:
    chunks, reader = read(stream)
    assert chunks == [] and reader.fault is not None and reader.fault.kind is kind


def test_an_event_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    _, reader = read(b"data: " + b"x" * 200)
    assert reader.fault is not None and reader.fault.kind is Kind.INVALID


def test_a_whole_answer() -> None:
    raw = orjson.dumps(WHOLE)
    chunks, reader = whole(WHOLE)
    assert chunks == [Chunk(raw, content=True, usage=True)]
    assert (reader.usage, reader.complete, reader.fault, reader.produced) == (FIGURES, True, None, 2)


def test_characters_of_every_kind_of_item() -> None:
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "abc"}], "content": None},
        {"type": "function_call", "arguments": "{}"},
        {"type": "custom_tool_call", "input": "ls"},
        {"type": "message", "content": [{"type": "refusal", "refusal": "No"}]},
        {"type": "web_search_call"},
    ]
    assert whole({**WHOLE, "output": output})[1].produced == 9


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", {"output": 7}, {"output": [7]}])
def test_what_is_no_response(body: object) -> None:
    chunks, reader = whole(body)
    assert chunks == [] and reader.fault is not None and reader.fault.kind is Kind.INVALID


@pytest.mark.parametrize("usage", [None, 7, {}, {"input_tokens": -1, "output_tokens": 1}])
def test_figures_that_make_no_sense_are_none(usage: object) -> None:
    end = event({"type": "response.completed", "response": {**WHOLE, "usage": usage}}, 1)
    _, reader = read(end)
    assert reader.ending == Chunk(end)
    assert (reader.usage, reader.complete) == (None, True)


def test_a_cost_that_the_upstream_names_is_replaced_whatever_its_figures_are() -> None:
    response = {**WHOLE, "usage": {"cost": 99}}
    assert whole(response)[0][0].usage
    end = event({"type": "response.completed", "response": response}, 1)
    ending = read(end)[1].ending
    assert ending == Chunk(end, usage=True) and b'"cost":0.5' in with_cost(ending.raw, 5 * 10**8)


def test_the_input_stays_where_the_output_makes_no_sense() -> None:
    usage = {"input_tokens": 5000, "output_tokens": None, "total_tokens": 5000}
    assert whole({**WHOLE, "usage": usage})[1].usage == Usage(5000, estimated=True)


def test_the_cost_goes_into_the_usage_within_the_response() -> None:
    assert with_cost(END, 1_500) == END.replace(b'"usage":{', b'"usage":{"cost":0.0000015,')
    tools = [{"type": "function", "name": "f", "parameters": {"properties": {"usage": {"type": "object"}}}}]
    end = event({"type": "response.completed", "response": {"tools": tools, **WHOLE}}, 4)
    priced = with_cost(end, 1_500)
    assert priced.startswith(b"event: response.completed\ndata: ")
    value = orjson.loads(priced.partition(b"data: ")[2])
    assert value["response"]["usage"] == {**USAGE, "cost": 0.0000015}
    assert value["response"]["tools"] == tools
