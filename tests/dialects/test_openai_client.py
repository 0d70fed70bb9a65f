"""What the request path asks about OpenAI's clients."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.api import ApiError, Call, Usage
from gateway.dialects.client import Asked
from gateway.dialects.openai_client import CHAT, COMPLETIONS, DONE, CompletionEncoder
from gateway.dialects.sse import Splitter

Json = dict[str, Any]
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def encoder(*, include_usage: bool = False) -> CompletionEncoder:
    return CompletionEncoder(Asked({}, Call("chat", "m", {}, include_usage=include_usage), 9))


def chunk(text: str | None, usage: Json | None = None, finish: str | None = None) -> Json:
    choices = [] if text is None else [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": choices, "usage": usage}


def told(stream: bytes) -> list[Any]:
    data = [event.data for event in Splitter().feed(stream)]
    assert data.pop() == b"[DONE]"
    return [orjson.loads(value) for value in data]


@pytest.mark.parametrize("beside", [False, True], ids=["usage last", "usage beside the end"])
@pytest.mark.parametrize("include_usage", [False, True])
def test_a_streamed_completion(include_usage: bool, beside: bool) -> None:
    one = encoder(include_usage=include_usage)
    chunks = [chunk("Hel"), chunk("lo", USAGE if beside else None, "stop")]
    chunks += [] if beside else [chunk(None, USAGE)]
    stream = b"".join([one.events(value) for value in chunks]) + one.end(Usage(3, output=2), 1500)
    events = told(stream)
    assert [event["choices"][0]["text"] for event in events[:2]] == ["Hel", "lo"]
    assert all(event["object"] == "text_completion" for event in events)
    assert [event["usage"] for event in events[2:]] == (
        [{**USAGE, "cost": 0.0000015}] if include_usage else []
    )
    assert one.end(Usage(), 0) == one.end(Usage(), 0)


def test_a_whole_completion_has_its_usage_whoever_counted() -> None:
    said = {"message": {"content": "Hi"}, "finish_reason": "stop", "index": 0}
    completion = {"id": "chatcmpl-1", "choices": [said], "usage": USAGE}
    body = orjson.loads(encoder().whole(completion, Usage(3, output=2), 1500))
    assert body["choices"][0]["text"] == "Hi"
    assert body["usage"] == {**USAGE, "cost": 0.0000015}
    assert completion["usage"] == USAGE
    guessed = orjson.loads(encoder().whole({**completion, "usage": None}, Usage(9, estimated=True), None))
    assert (guessed["usage"]["prompt_tokens"], guessed["usage"]["cost"]) == (9, None)


def test_errors_are_in_openais_shape() -> None:
    error = ApiError("upstream_error", "No.")
    event = b"data: " + orjson.dumps(error.body()) + b"\n\n"
    assert encoder().broken(error, "r") == CHAT.error_event(error, "r") == event
    assert CHAT.error_body(error, "r") == error.body()
    assert CHAT.done == DONE


@pytest.mark.parametrize(
    ("body", "answers"),
    [
        ({}, 1),
        ({"n": 2, "best_of": 4, "prompt": "one"}, 4),
        ({"prompt": ["one", "two"], "n": 3}, 6),
        ({"prompt": [1, 2, 3]}, 1),
    ],
)
def test_how_many_answers_a_completion_asks_for(body: Json, answers: int) -> None:
    assert COMPLETIONS.answers(body) == answers


def test_how_a_chat_begins() -> None:
    system, user = {"role": "system"}, {"role": "user"}
    assert CHAT.opening is not None
    assert CHAT.opening({"messages": [system, user, {"role": "assistant"}]}) == [system, user]
    assert CHAT.opening({"messages": [system]}) == [system]
