"""Answers that are passed on: read the same however they are cut, and told from what is none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Call, Chunk, Kind, Units, Usage
from gateway.dialects.chat_usage import with_cost
from gateway.dialects.passed import parse_usage, reader

USAGE = {
    "input_tokens": 20,
    "output_tokens": 5,
    "input_token_details": {"text_tokens": 6, "audio_tokens": 14},
}


def seconds(length: float | str) -> Units:
    return Units(audio_seconds=Decimal(length))


def read(call: Call, *pieces: bytes) -> tuple[Any, list[Chunk]]:
    made = reader(call)
    chunks = [chunk for piece in pieces for chunk in made.feed(piece)]
    return made, chunks + made.finish()


@pytest.mark.parametrize(
    ("value", "operation", "usage"),
    [
        (USAGE, "transcriptions", Usage(6, audio_input=14, output=5)),
        ({"input_tokens": 9, "output_tokens": 100}, "images", Usage(9, output=100)),
        ({"input_tokens": 7, "output_tokens": 50}, "speech", Usage(7, audio_output=50)),
        ({"total_tokens": 12}, "rerank", Usage(12)),
        ({"prompt_tokens": 12, "total_tokens": 12}, "rerank", Usage(12)),
        ({"type": "duration", "seconds": 3}, "transcriptions", None),
        ({"input_tokens": "9"}, "images", None),
        ({}, "images", None),
        (None, "images", None),
        ([], "rerank", None),
    ],
)
def test_usage(value: object, operation: str, usage: Usage | None) -> None:
    assert parse_usage(value, operation) == usage


@pytest.mark.parametrize(
    ("operation", "answer", "units"),
    [
        ("images", {"data": [{"url": "u"}] * 2}, Units(images=2)),
        ("transcriptions", {"text": "", "usage": {"type": "duration", "seconds": 3}}, seconds(3)),
        ("translations", {"text": "", "duration": "8.47"}, seconds("8.47")),
        ("transcriptions", {"text": "", "duration": 8.47, "usage": {"seconds": 9}}, seconds(9)),
        ("transcriptions", {"text": "", "usage": USAGE}, Units()),
        ("transcriptions", {"text": "", "duration": "long", "usage": []}, Units()),
        ("transcriptions", {"text": "", "duration": float("1e300")}, Units()),
        ("transcriptions", {"text": "", "duration": "nan", "usage": {"seconds": -1}}, Units()),
        ("rerank", {"results": []}, Units(searches=1)),
        ("rerank", {"results": [], "meta": {"billed_units": {"search_units": 2}}}, Units(searches=2)),
        ("rerank", {"results": [], "meta": ["odd"]}, Units(searches=1)),
        ("moderations", {"results": []}, Units()),
    ],
)
def test_units_of_whole_answers(operation: str, answer: dict[str, Any], units: Units) -> None:
    made, chunks = read(Call(operation, "m", {}), orjson.dumps(answer))
    assert made.fault is None and len(chunks) == 1
    assert made.usage.units == units


def test_units_of_speech_are_there_from_the_start() -> None:
    for stream in (False, True):
        made = reader(Call("speech", "m", {"input": "Gr\u00fcezi"}, stream=stream))
        assert made.usage is not None and made.usage.units == Units(characters=6) and made.usage.estimated


def test_units_of_images_in_events_are_those_that_are_whole() -> None:
    call = Call("images", "m", {"n": 3}, stream=True)
    partial = b'data: {"type":"image_generation.partial_image"}\n\n'
    whole = b'data: {"type":"image_generation.completed"}\n\n'
    made, _ = read(call, partial + whole + partial + whole)
    assert made.usage.units == Units(images=2) and made.usage.estimated


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("moderations", {"id": "1", "results": [{"flagged": False}]}),
        ("images", {"created": 1, "data": [{"url": "u"}], "usage": USAGE}),
        ("transcriptions", {"text": "Gr\u00fcezi", "usage": USAGE}),
        ("translations", {"text": "", "usage": {"type": "duration", "seconds": 1}}),
        ("rerank", {"results": [], "meta": {"billed_units": {"search_units": 1}}}),
        ("rerank", {"object": "list", "data": []}),
    ],
)
def test_whole_answers_go_on_as_they_are(operation: str, body: dict[str, Any]) -> None:
    raw = orjson.dumps(body, option=orjson.OPT_INDENT_2)
    made, (chunk,) = read(Call(operation, "m", {}), raw[:7], raw[7:])
    assert chunk.raw == raw and chunk.content and made.complete and made.fault is None
    assert chunk.usage == ("usage" in body and "input_tokens" in body["usage"])


@pytest.mark.parametrize("operation", ["moderations", "images", "transcriptions", "translations", "rerank"])
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"results":1}', b'{"text":1}', b"<html>"])
def test_what_is_no_answer(operation: str, body: bytes) -> None:
    made, chunks = read(Call(operation, "m", {}), body)
    assert made.fault is not None and made.fault.kind is Kind.INVALID
    assert not chunks and not made.complete


def test_an_error_in_an_answer() -> None:
    made, _ = read(Call("images", "m", {}), b'{"error":{"code":"rate_limit_exceeded","message":"slow"}}')
    assert made.fault is not None and made.fault.kind is Kind.LIMITED


@pytest.mark.parametrize("body", [b"", b"Hello\n", b"{not json}"])
def test_text(body: bytes) -> None:
    made, chunks = read(Call("transcriptions", "m", {"response_format": "vtt"}), body)
    assert b"".join(chunk.raw for chunk in chunks) == body
    assert made.complete and made.fault is None and made.produced == len(body)


@given(st.lists(st.binary(), max_size=8))
def test_sound(pieces: list[bytes]) -> None:
    made, chunks = read(Call("speech", "m", {}), *pieces)
    assert [chunk.raw for chunk in chunks] == [piece for piece in pieces if piece]
    assert made.complete == any(pieces) == (made.fault is None)


DELTA = b'event: transcript.text.delta\ndata: {"type":"transcript.text.delta","delta":"Hel"}\n\n'
DONE = b'data: {"type":"transcript.text.done","text":"Hel","usage":%b}\n\n' % orjson.dumps(USAGE)
STREAM = Call("transcriptions", "m", {}, stream=True)


@given(st.lists(st.integers(0, len(DELTA + DONE)), max_size=5), st.booleans(), st.booleans())
def test_events_cut_anywhere(cuts: list[int], done: bool, comment: bool) -> None:
    body = (b": hello\n\n" if comment else b"\n") + DELTA + DONE
    places = sorted({0, *cuts, len(body)})
    pieces = [body[a:b] for a, b in zip(places, [*places[1:], len(body)], strict=True)]
    made, chunks = read(STREAM, *pieces, b"data: [DONE]\n\n" if done else b"")
    assert b"".join(chunk.raw for chunk in chunks).lstrip() == body.lstrip()
    assert made.complete and made.fault is None and made.produced == 3
    assert made.usage == Usage(6, audio_input=14, output=5)
    assert [chunk.raw for chunk in chunks if chunk.usage] == [DONE]


@pytest.mark.parametrize("body", [DELTA, b"data: {\n\n", b"data: null\n\n", b": x\n\n", b"text", b""])
def test_events_without_an_end(body: bytes) -> None:
    made, _ = read(STREAM, body)
    assert made.fault is not None and not made.complete


def test_json_in_place_of_events() -> None:
    made, chunks = read(STREAM, b" ", b' {"text":', b'"Hel"}')
    assert [chunk.raw for chunk in chunks] == [b'  {"text":"Hel"}'] and made.complete
    made, chunks = read(STREAM, b'{"text":')
    assert made.fault is not None and not chunks


def test_chunks_of_other_servers_end_with_done() -> None:
    event = b'data: {"object":"transcription.chunk","choices":[{"delta":{"content":"a"}}]}\n\n'
    made, _ = read(STREAM, event)
    assert made.fault is not None
    made, chunks = read(STREAM, event, b"data: [DONE]\n\n")
    assert made.complete and [chunk.raw for chunk in chunks] == [event]


def test_the_name_of_an_event_stays_where_it_is_written_anew() -> None:
    event = b'event: transcript.text.done\ndata: {"text":"say \\"usage\\"","usage":{"input_tokens":1}}\n\n'
    paid = with_cost(event, 5)
    assert paid.startswith(b"event: transcript.text.done\ndata: {") and b'"cost":0.000000005' in paid


def test_several_images_are_complete_with_the_last_of_them() -> None:
    made = reader(Call("images", "m", {"n": 2}, stream=True))
    image = b'data: {"type":"image_generation.completed"}\n\n'
    made.feed(image)
    assert not made.complete
    made.feed(image)
    assert made.complete
    made, _ = read(Call("images", "m", {"n": 2}, stream=True), image)  # where one event stands for both
    assert made.complete and made.fault is None


def test_a_cost_that_the_upstream_names_is_replaced_whatever_its_figures_are() -> None:
    usage = b'"usage":{"cost":99}}'
    _, chunks = read(Call("rerank", "m", {}), b'{"results":[],' + usage)
    assert [chunk.usage for chunk in chunks] == [True]
    _, chunks = read(STREAM, b'data: {"type":"transcript.text.done","text":"Hel",%b\n\n' % usage)
    assert [chunk.usage for chunk in chunks] == [True]
