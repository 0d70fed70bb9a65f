"""The dialect as the core sees it: answers, the end of streams, and what a conversation begins with."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.api import ApiError, Call, Usage
from gateway.dialects.client import Asked
from gateway.dialects.responses.client import RESPONSES
from tests.dialects.responses.events import read, told

BODY = {"model": "m", "input": "Hello"}
USAGE = Usage(input=3, output=2, estimated=True)
HEAD = {"id": "chatcmpl-1", "created": 1, "model": "m"}
CHUNK = {**HEAD, "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
WHOLE = {**HEAD, "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
ERROR = ApiError("upstream_error", "The provider failed to answer.")


def encoder() -> Any:
    assert RESPONSES.encoder is not None
    return RESPONSES.encoder(Asked(BODY, Call("chat", "m", {}), 3))


def test_a_whole_answer_has_our_figures() -> None:
    body = orjson.loads(encoder().whole(WHOLE, USAGE, 5))
    assert body["usage"] == {**RESPONSES.usage(USAGE), "cost": 0.000000005}


def test_a_stream_ends_alike_for_who_pays_and_who_does_not() -> None:
    telling = encoder()
    begun = telling.events(CHUNK)
    paid, unpaid = (told(begun + telling.end(USAGE, cost)) for cost in (5, 0))
    assert paid["usage"].pop("cost") == 0.000000005 and unpaid["usage"].pop("cost") == 0
    assert paid == unpaid


def test_a_stream_that_cannot_go_on() -> None:
    telling = encoder()
    assert read(telling.events(CHUNK) + telling.broken(ERROR, "id"))[-1]["code"] == "upstream_error"
    [event] = read(RESPONSES.error_event(ERROR, "id"))
    assert event["error"] == ERROR.body()["error"] == RESPONSES.error_body(ERROR, "id")["error"]


def test_a_whole_answer_is_told_as_a_stream_and_put_together_again() -> None:
    answer = orjson.loads(encoder().whole(WHOLE, USAGE, 0))
    stream = RESPONSES.as_stream(answer, False)
    assert told(stream) == answer
    assembly = RESPONSES.assembly()
    assembly.feed(stream)
    assert assembly.whole() == answer


@pytest.mark.parametrize("choices", [7, [7], [{"delta": [7]}], [{"delta": {"tool_calls": [7]}}]])
def test_what_is_no_chunk_raises(choices: Any) -> None:
    with pytest.raises((AttributeError, LookupError, TypeError, ValueError)):
        encoder().events({**HEAD, "choices": choices})


def test_a_conversation_begins_with_what_stays_from_turn_to_turn() -> None:
    assert RESPONSES.opening is not None
    user = {"role": "user", "content": "Hello"}
    items = [{"role": "developer", "content": "Be brief."}, user]
    first = RESPONSES.opening({"instructions": "Help.", "input": items})
    later = RESPONSES.opening({"instructions": "Help.", "input": [*items, {"role": "assistant"}, user]})
    assert first == later == ["Help.", items]
    assert RESPONSES.opening({"input": "Hello"}) == [None, "Hello"]
    assert RESPONSES.opening({"previous_response_id": "resp_1"}) == [None, None]
