"""A whole answer as a stream, and a stream as a whole answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.replay import Assembly, Inexact, as_stream
from tests.daemon.running import events_of

text = st.text(max_size=20)
call = st.fixed_dictionaries(
    {
        "id": st.text(min_size=1, max_size=8),
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": st.text(min_size=1, max_size=8), "arguments": text}),
    }
)
message = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.one_of(st.none(), text)},
    optional={
        "refusal": st.one_of(st.none(), text),
        "reasoning_content": text,
        "tool_calls": st.lists(call, min_size=1, max_size=3),
        "annotations": st.lists(st.fixed_dictionaries({"type": text}), max_size=2),
        "unknown": st.integers(0, 9),
    },
)
logprobs = st.one_of(
    st.none(),
    st.fixed_dictionaries({"content": st.one_of(st.none(), st.lists(st.integers(0, 9), max_size=3))}),
)
choice = st.fixed_dictionaries(
    {
        "message": message,
        "logprobs": logprobs,
        "finish_reason": st.sampled_from(["stop", "length", "tool_calls"]),
    }
)
answer = st.builds(
    lambda choices, usage: {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "system_fingerprint": None,
        "choices": [{**made, "index": index} for index, made in enumerate(choices)],
        "usage": {"prompt_tokens": usage, "completion_tokens": 1, "cost": 0},
    },
    st.lists(choice, min_size=1, max_size=3),
    st.integers(0, 9),
)


def as_whole(stream: bytes, operation: str) -> dict[str, Any]:
    assembly = Assembly(operation)
    assembly.feed(stream)
    return assembly.whole()


@given(answer)
def test_there_and_back(whole: dict[str, Any]) -> None:
    assert as_whole(as_stream(whole, "chat", include_usage=True), "chat") == whole
    without = as_whole(as_stream(whole, "chat", include_usage=False), "chat")
    assert without == {name: value for name, value in whole.items() if name != "usage"}


@given(answer)
def test_a_stream_is_made_of_legal_chunks(whole: dict[str, Any]) -> None:
    *chunks, last = events_of(as_stream(whole, "chat", include_usage=True))
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    seen: set[int] = set()
    for chunk in chunks:
        assert (chunk["object"], chunk["id"], chunk["usage"]) == ("chat.completion.chunk", "chatcmpl-1", None)
        (piece,) = chunk["choices"]
        assert ("role" in piece["delta"]) == (piece["index"] not in seen)
        seen.add(piece["index"])
        for index, part in enumerate(piece["delta"].get("tool_calls", ())):
            assert part["index"] == index


def test_completions_there_and_back() -> None:
    whole = {
        "id": "cmpl-1",
        "object": "text_completion",
        "choices": [
            {"text": "one", "index": 0, "logprobs": {"tokens": ["one"]}, "finish_reason": "stop"},
            {"text": "", "index": 1, "logprobs": None, "finish_reason": "length"},
        ],
        "usage": {"prompt_tokens": 1},
    }
    assert as_whole(as_stream(whole, "completions", include_usage=True), "completions") == whole


def stream(*chunks: Any) -> bytes:
    return b"".join(b"data: %b\n\n" % orjson.dumps(chunk) for chunk in chunks)


def piece(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


@pytest.mark.parametrize("message", [{}, {"tool_calls": 3}, {"tool_calls": ["x"]}])
def test_what_is_of_an_odd_shape_is_passed_on_as_it_is(message: dict[str, Any]) -> None:
    for choice in ({"message": message}, message):
        events = events_of(as_stream({"choices": [choice]}, "chat", include_usage=False))
        assert events[1]["choices"][0]["delta"] == choice.get("message", {})


def test_pieces_are_put_together() -> None:
    found = as_whole(
        b": comment\n\n"
        + stream(
            piece(role="assistant", content=""),
            {**piece(content="Hel"), "created": 1, "obfuscation": "xy"},
            {**piece(content="lo"), "created": 2, "obfuscation": "z"},
            piece(tool_calls=[{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}]),
            piece(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]),
            piece(tool_calls=[{"index": 1, "function": {"arguments": "}"}}]),
            piece("tool_calls"),
            {"choices": [], "usage": {"prompt_tokens": 3}},
        )
        + b"data: [DONE]\n\n",
        "chat",
    )
    assert (found["created"], found["usage"]) == (1, {"prompt_tokens": 3})
    assert found["choices"][0] == {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": "Hello",
            "tool_calls": [
                {"id": "a", "function": {"name": "f", "arguments": ""}},
                {"id": "b", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        "finish_reason": "tool_calls",
    }


def test_calls_that_share_an_index_are_told_by_their_ids() -> None:
    calls = [{"id": n, "function": {"name": n, "arguments": f'{{"{n}":1}}'}} for n in "ab"]
    pieces = [piece(tool_calls=[{"index": 0, **call}]) for call in calls]
    found = as_whole(stream(*pieces, piece("tool_calls")), "chat")
    assert found["choices"][0]["message"]["tool_calls"] == calls


@pytest.mark.parametrize(
    "chunks",
    [
        [piece(content="Hel")],
        [piece(content="a", thought="x"), piece("stop", thought="x")],
        [piece(audio={"data": "a"}), piece("stop", audio={"data": "b"})],
        [piece(content=[{"type": "text"}]), piece("stop", content=[{"type": "text"}])],
        [piece(content="a"), piece("stop", content=["b"])],
        [piece(tool_calls=[{"id": "no index"}]), piece("stop")],
        [piece(role="assistant"), piece("stop", role="user")],
        [{**piece(), "x": {"a": 1}}, {**piece("stop"), "x": {"a": 2}}],
        [piece("stop"), {"error": {"message": "no"}}],
        [piece("stop"), []],
        [{"choices": [None]}],
        [{**piece("stop"), "usage": 3}],
    ],
)
def test_what_cannot_be_put_together_is_not(chunks: list[Any]) -> None:
    with pytest.raises(Inexact):
        as_whole(stream(*chunks), "chat")


def test_no_json() -> None:
    with pytest.raises(Inexact):
        as_whole(b"data: {\n\n", "chat")
