"""Answers of a chat as responses, whole and streamed: both say the same, in the SDK's own types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Usage
from gateway.dialects.responses import answer
from gateway.dialects.responses.identity import unseal
from gateway.dialects.responses.stream import Writer, error_event, priced
from tests.dialects.responses.events import check_response, read, told

Json = dict[str, Any]
HEAD = {"id": "chatcmpl-1", "created": 1_790_000_000, "model": "claude-x"}
USAGE = Usage(input=15, cache_read=10, cache_write=5, output=8, reasoning=4)
BLOCK = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
BODY: Json = {
    "model": "pool",
    "input": "Hello",
    "instructions": "Be brief.",
    "max_output_tokens": 50,
    "metadata": {"a": "b"},
    "reasoning": {"effort": "low"},
    "text": {"format": {"type": "json_object"}, "verbosity": None},
    "tools": [{"type": "function", "name": "f"}],
    "tool_choice": {"type": "function", "name": "f"},
    "parallel_tool_calls": False,
    "temperature": 0.5,
    "user": "u",
}


def call(number: int, arguments: str) -> Json:
    function = {"name": f"f{number}", "arguments": arguments}
    return {"id": f"call_{number}", "type": "function", "function": function}


def completion(message: Json, reason: str = "stop", **choice: Any) -> Json:
    choices = [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason, **choice}]
    return {**HEAD, "object": "chat.completion", "choices": choices}


def chunks(whole: Json, size: int = 3) -> Iterator[Json]:
    """The same as a stream: texts in pieces of ``size`` characters."""
    choice = whole["choices"][0]
    message = choice["message"]

    def chunk(delta: Json, reason: str | None = None, **more: Any) -> Json:
        choices = [{"index": 0, "delta": delta, "finish_reason": reason, **more}]
        return {**HEAD, "object": "chat.completion.chunk", "choices": choices}

    def pieces(text: str | None) -> list[str]:
        return [text[at : at + size] for at in range(0, len(text), size)] if text else []

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces(message.get("reasoning_content")):
        yield chunk({"reasoning_content": piece})
    for place, block in enumerate(message.get("reasoning_details") or ()):
        yield chunk({"reasoning_details": [{**block, "index": place}]})
    logprobs = (choice.get("logprobs") or {}).get("content")
    for place, piece in enumerate(pieces(message.get("content"))):
        more: Json = {"logprobs": {"content": [logprobs[place]]}} if logprobs else {}
        yield chunk({"content": piece}, **more)
    for piece in pieces(message.get("refusal")):
        yield chunk({"refusal": piece})
    for annotation in message.get("annotations") or ():
        yield chunk({"annotations": [annotation]})
    for place, made in enumerate(message.get("tool_calls") or ()):
        opened = {**made, "index": place, "function": {**made["function"], "arguments": ""}}
        yield chunk({"tool_calls": [opened]})
        for piece in pieces(made["function"]["arguments"]):
            yield chunk({"tool_calls": [{"index": place, "function": {"arguments": piece}}]})
    yield chunk({}, choice["finish_reason"])


def streamed(values: Iterator[Json], body: Json = BODY, cost: int | None = None) -> bytes:
    writer = Writer(body)
    events = b"".join([writer.events(value) for value in values])
    return events + writer.end(USAGE, cost)


def from_chat(whole: Json, body: Json) -> Json:
    return priced(answer.from_chat(whole, body), USAGE, 7)


def essence(response: Json) -> Json:
    """Without the moment, and without what the core adds."""
    usage = {name: value for name, value in response["usage"].items() if name != "cost"}
    return {**response, "completed_at": None, "usage": usage}


def test_a_text() -> None:
    response = from_chat(completion({"content": "Hello."}), BODY)
    check_response(response)
    assert response["status"] == "completed" and response["object"] == "response"
    assert (response["model"], response["created_at"]) == ("claude-x", 1_790_000_000)
    [message] = response["output"]
    part = {"type": "output_text", "text": "Hello.", "annotations": [], "logprobs": []}
    assert message == {**message, "type": "message", "role": "assistant", "status": "completed"}
    assert message["content"] == [part]
    assert essence(response)["usage"] == {
        "input_tokens": 30,
        "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 5},
        "output_tokens": 12,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 42,
    }


def test_what_the_client_set_is_given_back_and_nothing_is_stored() -> None:
    response = from_chat(completion({"content": "{}"}), {**BODY, "store": True})
    for name in ("instructions", "max_output_tokens", "metadata", "tool_choice", "temperature", "user"):
        assert response[name] == BODY[name]
    assert response["store"] is False and response["previous_response_id"] is None
    assert response["parallel_tool_calls"] is False
    assert response["reasoning"] == {"effort": "low", "summary": None}
    assert response["text"] == {"format": {"type": "json_object"}}
    assert response["tools"][0]["name"] == "f"


def test_nothing_set_is_what_openai_says_then() -> None:
    response = from_chat(completion({"content": "x"}), {"model": "m", "input": "Hello"})
    assert response["text"] == {"format": {"type": "text"}} and response["tools"] == []
    assert response["tool_choice"] == "auto" and response["parallel_tool_calls"] is True


def test_calls_thoughts_and_text_are_items_of_their_own() -> None:
    message = {
        "content": "Wait.",
        "reasoning_content": "Hm.",
        "reasoning_details": [BLOCK],
        "tool_calls": [call(1, "{}"), call(2, '{"a":1}')],
    }
    thought, said, *calls = from_chat(completion(message, "tool_calls"), BODY)["output"]
    assert thought["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert unseal(thought["encrypted_content"]) == [BLOCK]
    assert said["content"][0]["text"] == "Wait."
    assert [(item["call_id"], item["name"], item["arguments"], item["status"]) for item in calls] == [
        ("call_1", "f1", "{}", "completed"),
        ("call_2", "f2", '{"a":1}', "completed"),
    ]


@pytest.mark.parametrize(
    ("reason", "status", "why"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_how_it_ends(reason: str, status: str, why: Json | None) -> None:
    response = from_chat(completion({"content": "Hel"}, reason), BODY)
    assert (response["status"], response["incomplete_details"]) == (status, why)
    assert response["output"][-1]["status"] == status
    assert (response["completed_at"] is None) is (status == "incomplete")
    assert told(streamed(chunks(completion({"content": "Hel"}, reason))))["status"] == status


def test_an_answer_of_nothing_is_an_empty_message() -> None:
    for response in (
        from_chat(completion({"content": None}), BODY),
        told(streamed(chunks(completion({"content": ""})))),
    ):
        assert [part["text"] for part in response["output"][0]["content"]] == [""]


def test_citations_and_probabilities() -> None:
    cited = {"start_index": 0, "end_index": 5, "title": "T", "url": "https://e"}
    token = {"token": "Hel", "logprob": -0.5, "bytes": [72], "top_logprobs": []}
    whole = completion(
        {"content": "Hel", "annotations": [{"type": "url_citation", "url_citation": cited}]},
        logprobs={"content": [token], "refusal": None},
    )
    part = from_chat(whole, BODY)["output"][0]["content"][0]
    assert part["annotations"] == [{"type": "url_citation", **cited}] and part["logprobs"] == [token]
    assert told(streamed(chunks(whole)))["output"][0]["content"][0] == part


def test_a_text_after_thoughts_after_a_text() -> None:
    def chunk(**delta: str) -> Json:
        return {**HEAD, "choices": [{"index": 0, "delta": delta}]}

    values = [chunk(content="a"), chunk(reasoning="b"), chunk(content="c")]
    output = told(streamed(iter(values)))["output"]
    assert [item["type"] for item in output] == ["message", "reasoning", "message"]


def test_pieces_of_calls_may_come_in_turns() -> None:
    def chunk(*calls: Json) -> Json:
        return {**HEAD, "choices": [{"index": 0, "delta": {"tool_calls": list(calls)}}]}

    def piece(index: int, text: str) -> Json:
        return {"index": index, "function": {"arguments": text}}

    opened = [{**call(number, ""), "index": number} for number in (0, 1)]
    values = [chunk(*opened), chunk(piece(1, "[")), chunk(piece(0, "{")), chunk(piece(1, "]"), piece(0, "}"))]
    assert [item["arguments"] for item in told(streamed(iter(values)))["output"]] == ["{}", "[]"]


def test_calls_that_share_an_index_are_told_by_their_ids() -> None:
    values = [
        {**HEAD, "choices": [{"index": 0, "delta": {"tool_calls": [{**call(number, text), **place}]}}]}
        for place in ({"index": 0}, {})
        for number, text in ((1, '{"x":1}'), (2, '{"y":2}'))
    ]
    for pair in (values[:2], values[2:]):
        output = told(streamed(iter(pair)))["output"]
        assert [(item["call_id"], item["name"], item["arguments"]) for item in output] == [
            ("call_1", "f1", '{"x":1}'),
            ("call_2", "f2", '{"y":2}'),
        ]


def test_the_end_is_the_same_however_often_it_is_asked_but_for_the_cost() -> None:
    writer = Writer(BODY)
    begun = b"".join([writer.events(value) for value in chunks(completion({"content": "Hello."}))])
    for cost, said in [(1_500, b'"cost":0.0000015'), (0, b'"cost":0'), (None, b'"cost":null')]:
        end = writer.end(USAGE, cost)
        assert said in end
        assert told(begun + end)["status"] == "completed"


def test_a_stream_that_breaks_ends_with_the_next_number() -> None:
    writer = Writer(BODY)
    begun = b"".join([writer.events(value) for value in chunks(completion({"content": "Hello."}))])
    last = read(begun + writer.broken({"message": "No.", "code": "upstream_error"}))[-1]
    assert (last["type"], last["message"], last["error"]["code"]) == ("error", "No.", "upstream_error")


def test_an_error_is_where_either_kind_of_client_looks() -> None:
    error = {"message": "No.", "type": "api_error", "param": None, "code": "upstream_error"}
    [event] = read(error_event(error))
    assert event == {"type": "error", "sequence_number": 0, "error": error} | {
        name: error[name] for name in ("message", "param", "code")
    }


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_messages = st.fixed_dictionaries(
    {"content": st.none() | _texts},
    optional={
        "refusal": _texts,
        "reasoning_content": _texts,
        "reasoning_details": st.lists(st.just(BLOCK), max_size=2),
        "tool_calls": st.lists(st.builds(call, st.integers(0, 9), _texts), max_size=3),
    },
)


@given(_messages, st.sampled_from(["stop", "length", "tool_calls", "content_filter"]), st.integers(1, 5))
def test_a_stream_says_what_the_whole_answer_says(message: Json, reason: str, size: int) -> None:
    whole = completion(message, reason)
    response = from_chat(whole, BODY)
    check_response(response)
    assert essence(told(streamed(chunks(whole, size), cost=7))) == essence(response)
