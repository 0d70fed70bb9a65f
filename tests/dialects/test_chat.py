"""Native streams: bytes pass unchanged, and what matters in them is noticed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Call, Chunk, Kind, Usage
from gateway.dialects import sse
from gateway.dialects.chat import NativeReader

USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
DONE = b"data: [DONE]\n\n"
ROLE = {"role": "assistant", "content": "", "refusal": None}


def event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def chunk(delta: object = None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return event({"id": "chatcmpl-1", "choices": [choice], **more})


FIRST, TEXT, STOP = chunk(ROLE), chunk({"content": "Hi"}), chunk(finish="stop")
USAGE_CHUNK = event({"id": "chatcmpl-1", "choices": [], "usage": USAGE})


def read(*pieces: bytes, include_usage: bool = False) -> tuple[list[Chunk], NativeReader]:
    reader = NativeReader(Call("chat", "m", {}, stream=True, include_usage=include_usage))
    chunks = [chunk for piece in pieces for chunk in reader.feed(piece)]
    return chunks + reader.finish(), reader


def test_a_whole_stream() -> None:
    chunks, reader = read(FIRST + TEXT + STOP + USAGE_CHUNK + DONE)
    assert chunks == [Chunk(FIRST + TEXT + STOP, content=True)]
    assert reader.usage == Usage(input=9, output=2)
    assert (reader.complete, reader.fault, reader.produced) == (True, None, 2)


def test_each_read_gives_at_most_one_chunk_and_says_whether_it_has_content() -> None:
    chunks, _ = read(FIRST, TEXT + TEXT, STOP, DONE)
    assert chunks == [Chunk(FIRST), Chunk(TEXT + TEXT, content=True), Chunk(STOP)]


def test_half_a_character_passes_as_it_came() -> None:
    cut = [TEXT.replace(b"Hi", half) for half in (rb"Hi \ud83d", rb"\ude00", rb"1", rb"Hi")]
    cut[2] = cut[2].replace(b'"1"', b'"1","temperature":1e400')
    sent = b"".join(cut) + STOP + USAGE_CHUNK + DONE
    chunks, reader = read(sent)
    assert b"".join(chunk.raw for chunk in chunks) == b"".join(cut) + STOP
    assert (reader.complete, reader.fault, reader.usage) == (True, None, Usage(input=9, output=2))
    _, broken = read(event({"error": {"code": 400, "message": "x"}}).replace(b"x", rb"no \ud83d"))
    assert broken.fault is not None and broken.fault.message.endswith("no \ufffd")


def test_the_usage_chunk_is_for_clients_that_asked() -> None:
    chunks, reader = read(TEXT + STOP + USAGE_CHUNK + DONE, include_usage=True)
    assert chunks == [Chunk(TEXT + STOP, content=True), Chunk(USAGE_CHUNK, usage=True)]
    chunks, reader = read(TEXT + STOP + USAGE_CHUNK + DONE, include_usage=False)
    assert chunks == [Chunk(TEXT + STOP, content=True)]
    assert reader.usage == Usage(input=9, output=2)


def test_usage_beside_content() -> None:
    last = chunk({"content": "!"}, "stop", usage=USAGE)
    chunks, reader = read(TEXT + last, include_usage=True)
    assert chunks == [Chunk(TEXT, content=True), Chunk(last, content=True, usage=True)]
    chunks, reader = read(TEXT + last)
    assert chunks == [Chunk(TEXT + last, content=True)]
    assert reader.usage == Usage(input=9, output=2)


def test_the_last_usage_wins_and_nonsense_is_none() -> None:
    later = event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}})
    nonsense = event({"choices": [], "usage": {"prompt_tokens": -1}})
    _, reader = read(TEXT + STOP + USAGE_CHUNK + later + nonsense)
    assert reader.usage == Usage(input=9, output=3)
    chunks, _ = read(STOP + nonsense, include_usage=True)
    assert chunks == [Chunk(STOP + nonsense)]  # its client asked for it, but there is nothing to add to


@pytest.mark.parametrize(
    ("more", "usage"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(input=9, output=2)),
        ({"prompt_tokens": 9, "completion_tokens": 0}, Usage(input=9, output=2)),
        ({"prompt_tokens": 0, "completion_tokens": 7}, Usage(input=9, output=7)),
        ({"prompt_tokens": 9, "completion_tokens": None}, Usage(input=9, output=2)),
        ({"prompt_tokens": 8, "completion_tokens": 1}, Usage(input=8, output=1)),
    ],
)
def test_no_figure_of_zero_replaces_another(more: dict[str, Any], usage: Usage) -> None:
    _, reader = read(TEXT + STOP + USAGE_CHUNK + event({"choices": [], "usage": more}) + DONE)
    assert reader.usage == usage


def test_figures_of_zero_are_believed_where_there_were_no_others() -> None:
    zero = {"prompt_tokens": 0, "completion_tokens": 0}
    _, reader = read(TEXT + STOP + event({"choices": [], "usage": zero}) + DONE)
    assert reader.usage == Usage()


def test_a_chunk_without_choices_and_comments_pass() -> None:
    azure = event({"id": "", "choices": [], "prompt_filter_results": []})
    chunks, _ = read(azure + b": ping\n\n", TEXT + STOP)
    assert chunks == [Chunk(azure + b": ping\n\n"), Chunk(TEXT + STOP, content=True)]


@pytest.mark.parametrize(
    ("delta", "characters"),
    [
        ({"content": "abc"}, 3),
        ({"content": "abc", "role": "assistant"}, 3),
        ({"refusal": "no"}, 2),
        ({"reasoning_content": "hm"}, 2),
        ({"reasoning": "hm", "content": ""}, 2),
        ({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}, 3),
        ({"tool_calls": [{"index": 0, "custom": {"name": "f", "input": "x"}}]}, 2),
        ({"function_call": {"name": "f", "arguments": "{}"}}, 3),
        ({"audio": {"id": "a", "data": "AAAA", "transcript": "hey"}}, 3),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, 2),
    ],
)
def test_content_in_all_its_forms(delta: dict[str, Any], characters: int) -> None:
    chunks, reader = read(chunk(delta))
    assert chunks[0].content
    assert reader.produced == characters


@pytest.mark.parametrize(
    "delta", [ROLE, {}, {"role": "assistant"}, {"content": None}, {"content": "", "tool_calls": []}]
)
def test_no_content(delta: dict[str, Any]) -> None:
    chunks, reader = read(chunk(delta))
    assert not chunks[0].content
    assert reader.produced == 0


def test_completions_have_their_text_in_the_choice() -> None:
    text = event({"choices": [{"text": "abc", "index": 0, "logprobs": None, "finish_reason": None}]})
    last = event({"choices": [{"text": "", "index": 0, "finish_reason": "length"}]})
    chunks, reader = read(text + last)
    assert chunks == [Chunk(text + last, content=True)]
    assert (reader.produced, reader.complete) == (3, True)


@pytest.mark.parametrize("stream", [b"", TEXT, TEXT + DONE, FIRST + TEXT + b"data: {}\n\n"])
def test_a_stream_without_a_finish_reason_was_cut_off(stream: bytes) -> None:
    _, reader = read(stream)
    assert not reader.complete
    assert reader.fault is not None
    assert reader.fault.kind is Kind.FAILED
    assert "without a finish reason" in reader.fault.message


def test_each_choice_needs_its_finish_reason() -> None:
    both = chunk({"content": "a"}, index=0) + chunk({"content": "b"}, index=1)
    assert not read(both + chunk(finish="stop", index=0))[1].complete
    assert not read(chunk({"content": "a"}, "stop", index=0) + chunk({"content": "b"}, index=1))[1].complete
    assert read(both + chunk(finish="stop", index=1) + chunk(finish="stop", index=0))[1].complete


def test_nothing_is_read_after_done() -> None:
    chunks, reader = read(TEXT + STOP + DONE + TEXT, TEXT)
    assert chunks == [Chunk(TEXT + STOP, content=True)]
    assert reader.fault is None


def test_what_is_cut_off_behind_the_answer_does_not_break_it() -> None:
    chunks, reader = read(TEXT + STOP, USAGE_CHUNK[:30], include_usage=True)
    assert chunks == [Chunk(TEXT + STOP, content=True)]
    assert (reader.complete, reader.fault, reader.done) == (True, None, False)
    assert read(TEXT + STOP + DONE)[1].done


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "slow", "code": "rate_limit_exceeded"}, Kind.LIMITED),
        ({"message": "busy", "type": "overloaded_error"}, Kind.OVERLOADED),
        ({"message": "busy", "code": "server_is_overloaded"}, Kind.OVERLOADED),
        ({"message": "oh", "code": 502}, Kind.FAILED),
        ("oh", Kind.FAILED),
    ],
)
def test_an_error_in_the_stream(error: object, kind: Kind) -> None:
    chunks, reader = read(TEXT + event({"error": error}) + STOP, STOP)
    assert chunks == [Chunk(TEXT, content=True)]
    assert reader.fault is not None
    assert reader.fault.kind is kind


def test_an_error_beside_a_choice_is_an_error() -> None:
    chunks, reader = read(chunk({"content": ""}, "error", error={"code": 502, "message": "gone"}))
    assert chunks == []
    assert reader.fault is not None
    assert reader.fault.kind is Kind.FAILED


def test_an_error_by_its_event_name() -> None:
    _, reader = read(b'event: error\ndata: {"type":"overloaded_error"}\n\n')
    assert reader.fault is not None
    assert reader.fault.kind is Kind.OVERLOADED


def test_a_null_error_is_none() -> None:
    assert read(chunk({"content": "a"}, "stop", error=None))[1].fault is None


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"text",
        b"null",
        b"1",
        b"[]",
        b'"x"',
        b'{"choices":1}',
        b'{"choices":"x"}',
        b'{"choices":[null]}',
        b'{"choices":{"a":1}}',
        b'{"choices":[{"index":"x"}]}',
        b'{"choices":[{"delta":"x"}]}',
        b'{"choices":[{"delta":[1]}]}',
        b"[" * 5000,
        b'{"a":"\xff"}',
    ],
)
def test_what_is_no_chunk_breaks_the_stream(data: bytes) -> None:
    chunks, reader = read(TEXT + b"data: " + data + b"\n\n" + STOP)
    assert chunks == [Chunk(TEXT, content=True)]
    assert reader.fault is not None
    assert reader.fault.kind is Kind.INVALID


def test_text_nested_beyond_reason_is_not_followed() -> None:
    _, reader = read(b'data: {"choices":[{"delta":{"content":' + b"[" * 900 + b"]" * 900 + b"}}]}\n\n")
    assert reader.produced == 0


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>\n\n<body>Bad gateway</body></html>", Kind.INVALID),
        (b'{"id":"chatcmpl-1","choices":[]}', Kind.INVALID),
        (b'{\n  "error": {"message": "slow", "code": "rate_limit_exceeded"}\n}\n', Kind.LIMITED),
    ],
)
def test_a_body_in_place_of_a_stream(body: bytes, kind: Kind) -> None:
    chunks, reader = read(body)
    assert chunks == []
    assert reader.fault is not None
    assert reader.fault.kind is kind


def test_an_event_beyond_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 200)
    for pieces in ((TEXT, b"data: " + b"x" * 200, STOP), (TEXT + b"data: " + b"x" * 200,)):
        chunks, reader = read(*pieces)
        assert chunks == [Chunk(TEXT, content=True)]
        assert reader.fault is not None
        assert reader.fault.kind is Kind.INVALID


PARTS = [
    FIRST,
    TEXT,
    STOP,
    USAGE_CHUNK,
    DONE,
    b": ping\n\n",
    b"data: {\n\n",
    chunk({"content": "\u2028"}, index=1),
]


@settings(max_examples=80)
@given(st.lists(st.sampled_from(PARTS), max_size=8), st.booleans(), st.data())
def test_any_cut_reads_the_same(parts: list[bytes], include_usage: bool, draw: st.DataObject) -> None:
    stream = b"".join(parts)
    cuts = sorted(draw.draw(st.sets(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    (whole, one), (cut, other) = (
        read(stream, include_usage=include_usage),
        read(*pieces, include_usage=include_usage),
    )
    assert b"".join(chunk.raw for chunk in whole) == b"".join(chunk.raw for chunk in cut)
    assert (one.usage, one.fault, one.complete, one.produced) == (
        other.usage,
        other.fault,
        other.complete,
        other.produced,
    )
