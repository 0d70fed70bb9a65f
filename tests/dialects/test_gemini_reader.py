"""Readers of whole and streamed answers, fed with bytes however they are cut."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Call, Chunk, Kind, Reader, Usage
from gateway.dialects.gemini_reader import StreamReader, WholeReader
from gateway.dialects.gemini_signature import unpack

Json = dict[str, Any]

WIRE = Path(__file__).parent.parent / "wire" / "gemini"
SIGNATURE = "EpwCCpkCAb4+9vuLg0wYq5f8/2ZkT1pXw6Q=="


def call(stream: bool = False, include_usage: bool = False) -> Call:
    return Call("chat", "gemini-3-flash", {}, stream=stream, include_usage=include_usage)


def whole(body: bytes) -> tuple[Reader, Any]:
    reader = WholeReader(call())
    assert reader.feed(body[:7]) == [] and reader.feed(body[7:]) == []
    chunks = reader.finish()
    assert all(chunk.content and chunk.usage for chunk in chunks)
    return reader, chunks[0].value if chunks else None


def streamed(
    body: bytes, cuts: list[int] | None = None, include_usage: bool = False
) -> tuple[Reader, list[Chunk]]:
    reader = StreamReader(call(stream=True, include_usage=include_usage))
    chunks: list[Chunk] = []
    start = 0
    for cut in [*sorted(cuts or []), len(body)]:
        chunks += reader.feed(body[start:cut])
        start = cut
    chunks += reader.finish()
    return reader, chunks


def values(chunks: list[Chunk]) -> list[Json]:
    """The chunks' values without the moment they were made."""
    return [{**chunk.value, "created": 0} for chunk in chunks if chunk.value is not None]


def assembled(chunks: list[Chunk]) -> dict[int, Json]:
    """The choices that a client puts together."""
    choices: dict[int, Json] = {}
    for value in values(chunks):
        for piece in value["choices"]:
            choice = choices.setdefault(piece["index"], {"content": None, "finish_reason": None})
            choice["finish_reason"] = piece["finish_reason"] or choice["finish_reason"]
            for name, item in piece["delta"].items():
                if name == "tool_calls":
                    bare = [{key: call[key] for key in call if key != "index"} for call in item]
                    assert item[0]["index"] == len(choice.get(name, []))
                    choice.setdefault(name, []).extend(bare)
                elif name == "images":
                    choice.setdefault(name, []).extend(item)
                elif isinstance(item, str) and name != "role":
                    choice[name] = (choice.get(name) or "") + item
                elif item is not None:
                    assert name not in choice or name == "role", "given twice"
                    choice[name] = item
    return choices


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + orjson.dumps(event) + b"\r\n\r\n" for event in events)


def test_numbers_in_arguments_keep_their_digits() -> None:
    account = b'{"account":12345678901234567890123}'
    part = b'{"functionCall":{"name":"f","args":%b}}' % account
    body = b'{"candidates":[{"content":{"parts":[%b]},"finishReason":"STOP"}]}' % part
    _, value = whole(body)
    _, chunks = streamed(b"data: %b\n\n" % body)
    deltas = [chunk.value["choices"][0]["delta"] for chunk in chunks if chunk.value is not None]
    for said in (value["choices"][0]["message"], *[delta for delta in deltas if "tool_calls" in delta]):
        assert said["tool_calls"][0]["function"]["arguments"].encode() == account


def test_a_whole_answer() -> None:
    reader, value = whole((WIRE / "chat.json").read_bytes())
    assert value.pop("created") > 0
    assert value == {
        "id": "chatcmpl-mAGXaLqnG5OaxN8P2bqK0AE",
        "object": "chat.completion",
        "model": "gemini-3-flash-preview",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hello there.",
                    "refusal": None,
                    "reasoning_content": "Thinking about it.",
                    "extra_content": {"google": {"thought_signature": SIGNATURE}},
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 126,
            "completion_tokens": 34,
            "total_tokens": 160,
            "prompt_tokens_details": {"cached_tokens": 100, "audio_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 0},
        },
    }
    assert reader.usage == Usage(input=18, cache_read=100, audio_input=8, output=4, reasoning=30)
    assert reader.complete and reader.produced == len("Hello there.Thinking about it.")


def test_calls_without_ids_get_some() -> None:
    _, value = whole((WIRE / "chat_tools_2_5.json").read_bytes())
    choice = value["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {"id": "call_kQGXaJ2_0_0", "type": "function", "function": {"name": "now", "arguments": "{}"}},
        {
            "id": "call_kQGXaJ2_0_1",
            "type": "function",
            "function": {"name": "add", "arguments": '{"a":1,"b":2.5}'},
        },
    ]


def test_a_blocked_prompt_is_a_filtered_choice() -> None:
    body = (WIRE / "blocked.json").read_bytes()
    reader, value = whole(body)
    assert value["choices"][0]["finish_reason"] == "content_filter"
    assert value["choices"][0]["message"]["content"] == ""
    assert reader.usage == Usage(input=12)
    _, chunks = streamed(sse(orjson.loads(body)))
    assert assembled(chunks)[0] == {"role": "assistant", "content": "", "finish_reason": "content_filter"}


def test_a_failed_call_is_a_failure_only_if_nothing_was_produced() -> None:
    body = orjson.loads((WIRE / "malformed_call.json").read_bytes())
    for reader in (whole(orjson.dumps(body))[0], streamed(sse(body))[0]):
        assert reader.fault is not None and reader.fault.kind is Kind.FAILED and not reader.complete
    body["candidates"][0]["content"] = {"parts": [{"text": "Let me"}]}
    assert whole(orjson.dumps(body))[1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("name", ["stream_text.sse", "stream_tools.sse", "stream_error.sse"])
def test_any_cut_of_a_stream_gives_the_same_chunks(name: str) -> None:
    body = (WIRE / name).read_bytes()
    _, expected = streamed(body)
    for cut in range(len(body)):
        chunks = streamed(body, [cut])[1]
        assert values(chunks) == values(expected)
        assert [chunk.content for chunk in chunks] == [chunk.content for chunk in expected]
    _, chunks = streamed(body, list(range(len(body))))
    assert values(chunks) == values(expected)


def test_a_stream_of_text() -> None:
    reader, chunks = streamed((WIRE / "stream_text.sse").read_bytes(), include_usage=True)
    assert [chunk.content for chunk in chunks] == [False, True, True, True, False, False]
    assert [chunk.usage for chunk in chunks] == [False] * 5 + [True]
    got = values(chunks)
    assert got[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert all(value["usage"] is None for value in got[:-1])
    assert got[-1]["choices"] == [] and got[-1]["usage"]["completion_tokens"] == 39
    assert {(value["id"], value["model"], value["object"]) for value in got} == {
        ("chatcmpl-mAGXaLqnG5OaxN8P2bqK0AE", "gemini-3-flash-preview", "chat.completion.chunk")
    }
    assert assembled(chunks)[0] == {
        "role": "assistant",
        "content": "Grüß Gott 👋\u2028",
        "reasoning_content": "**Greeting**\n\nThe user says hello.",
        "extra_content": {"google": {"thought_signature": SIGNATURE}},
        "finish_reason": "stop",
    }
    assert reader.complete and reader.usage == Usage(input=19, output=5, reasoning=34)


def test_a_stream_of_calls_without_usage_for_the_client() -> None:
    reader, chunks = streamed((WIRE / "stream_tools.sse").read_bytes())
    assert all("usage" not in value for value in values(chunks))
    choice = assembled(chunks)[0]
    assert choice["finish_reason"] == "tool_calls"
    first, second = choice["tool_calls"]
    assert unpack(first["id"], "gemini-3-flash") == ("8f2b1a3c", SIGNATURE)
    assert first["extra_content"] == {"google": {"thought_signature": SIGNATURE}}
    assert second == {
        "id": "9a7d0e11",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city":"Köln","days":2}'},
    }
    assert reader.usage == Usage(input=19, output=38, reasoning=40)


def test_an_error_in_a_stream_ends_it() -> None:
    reader, chunks = streamed((WIRE / "stream_error.sse").read_bytes())
    assert reader.fault is not None and reader.fault.kind is Kind.OVERLOADED
    assert [chunk.content for chunk in chunks] == [False, True]
    assert reader.feed(b"data: {}\n\n") == [] and reader.finish() == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", Kind.FAILED),
        (b": hello\n\n", Kind.FAILED),
        (sse({"candidates": [{"content": {"parts": [{"text": "cut"}]}}]}), Kind.FAILED),
        (sse({"usageMetadata": {"promptTokenCount": 1}}), Kind.FAILED),
        (b"<html><body>Bad gateway</body></html>", Kind.INVALID),
        (b"data: {\n\n", Kind.INVALID),
        (b"data: 5\n\n", Kind.INVALID),
        (b'data: {"candidates":[{"content":{"parts":[{"text":"\xff"}]}}]}\n\n', Kind.INVALID),
        (b'[{"error": {\n  "code": 429\n}}]', Kind.LIMITED),
        (b'{"error":{"code":400,"message":"data: no"}}', Kind.CALLER),
        (sse([{"error": {"code": 500}}, {"candidates": [{"finishReason": "STOP"}]}]), Kind.FAILED),
    ],
)
def test_what_is_no_stream_is_a_fault(body: bytes, kind: Kind) -> None:
    reader, _ = streamed(body)
    assert reader.fault is not None and reader.fault.kind is kind and not reader.complete


def test_no_figure_of_zero_replaces_another() -> None:
    named = {"promptTokenCount": 9, "candidatesTokenCount": 4}
    text, end = {"content": {"parts": [{"text": "a"}]}}, {"finishReason": "STOP"}
    events = [{"candidates": [text], "usageMetadata": named}]
    for later in ({"promptTokenCount": 9}, {"promptTokenCount": 0, "candidatesTokenCount": 0}):
        last = {"candidates": [end], "usageMetadata": later}
        assert streamed(sse(*events, last))[0].usage == Usage(9, output=4)


def test_a_stream_in_an_array_is_read() -> None:
    answer = {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}
    end = {"candidates": [{"finishReason": "STOP"}]}
    _, chunks = streamed(orjson.dumps([answer, end]))
    assert assembled(chunks)[0]["content"] == "a"


def test_a_stream_is_complete_with_its_finish_reason() -> None:
    reader = StreamReader(call(stream=True))
    reader.feed(sse({"candidates": [{"content": {"parts": [{"text": "a"}]}}]}))
    assert not reader.complete
    reader.feed(sse({"candidates": [{"finishReason": "STOP"}]}))
    assert reader.complete
    reader.feed(sse({"error": {"code": 500}}))
    assert not reader.complete


def test_a_stop_in_every_event_finishes_once() -> None:
    event = {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]}
    _, chunks = streamed(sse(event, event) + b"data: [DONE]\n\n")
    finishes = [value["choices"][0]["finish_reason"] for value in values(chunks)]
    assert finishes == [None, None, None, "stop"]


def test_an_event_beyond_all_bounds_is_a_fault() -> None:
    reader = StreamReader(call(stream=True))
    assert reader.feed(b"data: " + b"x" * (16 * 1024 * 1024)) == []
    assert reader.fault is not None and reader.fault.kind is Kind.INVALID


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", Kind.INVALID),
        (b"<html>", Kind.INVALID),
        (b"{}", Kind.INVALID),
        (b"[]", Kind.INVALID),
        (b"null", Kind.INVALID),
        (b'{"candidates":[5]}', Kind.INVALID),
        (b'{"candidates":"x"}', Kind.INVALID),
        (b'{"promptFeedback":{}}', Kind.INVALID),
        (b'{"candidates":[{}]}', Kind.FAILED),
        (b'[{"error":{"code":429}}]', Kind.LIMITED),
        (b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":%s}}}]}}]}'
         % (b"[" * 2000 + b"]" * 2000), Kind.INVALID),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_a_fault(body: bytes, kind: Kind) -> None:
    reader, value = whole(body)
    assert value is None and not reader.complete
    assert reader.fault is not None and reader.fault.kind is kind


def test_a_whole_body_need_not_name_the_default_reason() -> None:
    _, value = whole(b'{"candidates":[{"content":{"parts":[{"text":"a"}]},"index":"x"}]}')
    assert value["choices"][0]["finish_reason"] == "stop"
    assert value["id"] != "chatcmpl-" and value["model"] == "gemini-3-flash"


TEXTS = st.text(max_size=6)
SIGNATURES = st.sampled_from(["S1+/==", "S2"])
PARTS = st.one_of(
    st.fixed_dictionaries(
        {"text": TEXTS}, optional={"thought": st.booleans(), "thoughtSignature": SIGNATURES}
    ),
    st.fixed_dictionaries(
        {
            "functionCall": st.fixed_dictionaries(
                {"name": st.sampled_from(["f", "g"])},
                optional={
                    "id": TEXTS,
                    "args": st.dictionaries(TEXTS, st.integers(-9, 9) | TEXTS, max_size=2),
                },
            )
        },
        optional={"thoughtSignature": SIGNATURES},
    ),
    st.just({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
)
REASONS = st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL", "NEW"])


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[Json], Json]:
    """The events of a stream, and the same answer as one body."""
    head = {"responseId": "r1", "modelVersion": "gemini-3"}
    usage = {"promptTokenCount": draw(st.integers(0, 99)), "candidatesTokenCount": draw(st.integers(0, 99))}
    events, candidates = [], []
    for index in range(draw(st.integers(1, 2))):
        pieces = draw(st.lists(st.lists(PARTS, max_size=3), min_size=1, max_size=4))
        reason = draw(REASONS)
        for position, parts in enumerate(pieces):
            event: Json = {"index": index, "content": {"role": "model", "parts": parts}}
            if position == len(pieces) - 1:
                event["finishReason"] = reason
            events.append({"candidates": [event], "usageMetadata": usage, **head})
        joined = [part for parts in pieces for part in parts]
        candidates.append({"index": index, "content": {"parts": joined}, "finishReason": reason})
    return events, {"candidates": candidates, "usageMetadata": usage, **head}


@settings(max_examples=150, deadline=None)
@given(answers(), st.data())
def test_a_stream_however_cut_says_what_the_whole_answer_says(
    answer: tuple[list[Json], Json], data: st.DataObject
) -> None:
    events, body = answer
    stream = sse(*events)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    reader, chunks = streamed(stream, cuts, include_usage=True)
    assert values(chunks) == values(streamed(stream, include_usage=True)[1])
    reference, value = whole(orjson.dumps(body))
    assert (reader.fault, reader.usage, reader.produced) == (
        reference.fault,
        reference.usage,
        reference.produced,
    )
    if value is None:
        return
    assert values(chunks)[-1]["usage"] == value["usage"]
    choices = assembled(chunks)
    for choice in value["choices"]:
        expected = {**choice["message"], "finish_reason": choice["finish_reason"]}
        expected.pop("refusal")
        got = choices[choice["index"]]
        assert {**got, "content": got["content"] or None} == {
            **expected,
            "content": expected["content"] or None,
        }
