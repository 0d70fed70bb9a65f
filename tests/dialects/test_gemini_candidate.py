"""Candidates as choices."""

from typing import Any

import pytest

from gateway.dialects.gemini_candidate import FAILURES, Choice, logprobs, message


def choice() -> Choice:
    return Choice(0, "abc", "gemini-3-pro", streamed=False)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("STOP", "stop"),
        ("FINISH_REASON_UNSPECIFIED", "stop"),
        ("OTHER", "stop"),
        ("SOMETHING_NEW", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        *((failure, "stop") for failure in sorted(FAILURES)),
    ],
)
def test_finish_reasons(reason: str, expected: str) -> None:
    plain, calling = choice(), choice()
    plain.read({"finishReason": reason})
    assert plain.finish_reason == expected
    calling.read({"finishReason": reason, "content": {"parts": [{"functionCall": {"name": "f"}}]}})
    assert calling.finish_reason == ("tool_calls" if expected == "stop" else expected)


def test_parts_of_one_kind_are_joined() -> None:
    parts = [{"text": "a", "thought": True}, {"text": "b"}, {"text": "c"}, {"text": "d", "thought": True}]
    read = choice()
    assert read.read({"content": {"parts": parts}}) == {"reasoning_content": "ad", "content": "bc"}
    assert read.produced == 4


def test_images_that_the_model_made() -> None:
    parts = [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]
    url = {"url": "data:image/png;base64,AAAA"}
    assert choice().read({"content": {"parts": parts}}) == {
        "images": [{"index": 0, "type": "image_url", "image_url": url}]
    }


@pytest.mark.parametrize(
    "candidate",
    [
        {},
        {"content": None},
        {"content": {}},
        {"content": {"parts": "x"}},
        {"content": {"parts": [5, {}, {"text": 5}, {"text": ""}, {"functionCall": {"name": 5}}]}},
        {"finishReason": 5},
    ],
)
def test_what_is_missing_or_broken_adds_nothing(candidate: Any) -> None:
    read = choice()
    assert read.read(candidate) == {} and read.reason is None and read.produced == 0


def test_a_message_always_has_what_openai_promises() -> None:
    assert message({}, None) == {"role": "assistant", "content": "", "refusal": None}
    assert message({"tool_calls": []}, "S")["content"] is None
    assert message({}, "S")["extra_content"] == {"google": {"thought_signature": "S"}}


@pytest.mark.parametrize("result", [None, [], {}, {"chosenCandidates": 5}])
def test_no_logprobs(result: Any) -> None:
    assert logprobs(result) is None


def test_logprobs_without_alternatives() -> None:
    assert logprobs({"chosenCandidates": [{"token": "é", "logProbability": -1.5}, 5]}) == {
        "content": [{"token": "é", "logprob": -1.5, "bytes": [195, 169], "top_logprobs": []}],
        "refusal": None,
    }
