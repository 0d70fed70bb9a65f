"""Legacy completions by way of a chat."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Unsupported
from gateway.dialects.completions import from_chat, to_chat


@pytest.mark.parametrize("prompt", ["Once", ["Once"]])
def test_one_prompt_is_one_user_message(prompt: object) -> None:
    body = {"model": "m", "prompt": prompt, "max_tokens": 5, "stop": ["x"], "n": 2, "something": {"new": 1}}
    before = dict(body)
    assert to_chat(body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Once"}],
        "max_tokens": 5,
        "stop": ["x"],
        "n": 2,
        "something": {"new": 1},
    }
    assert body == before


def test_what_says_nothing_is_dropped() -> None:
    body = {"prompt": "a", "echo": False, "suffix": None, "logprobs": None, "best_of": 1}
    assert to_chat(body) == {"messages": [{"role": "user", "content": "a"}]}
    assert to_chat({"prompt": "a", "best_of": 2, "n": 2})["n"] == 2


@pytest.mark.parametrize("prompt", [None, [], ["a", "b"], [1, 2], [[1, 2]], [7], 7])
def test_other_prompts_have_no_equivalent(prompt: object) -> None:
    with pytest.raises(Unsupported) as refused:
        to_chat({"prompt": prompt})
    assert refused.value.param == "prompt"


@pytest.mark.parametrize(
    ("param", "value"), [("echo", True), ("suffix", "end"), ("logprobs", 0), ("logprobs", 2), ("best_of", 2)]
)
def test_parameters_without_equivalent(param: str, value: object) -> None:
    with pytest.raises(Unsupported) as refused:
        to_chat({"prompt": "a", param: value})
    assert refused.value.param == param


def test_a_whole_answer() -> None:
    chat = {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"},
            {
                "index": 1,
                "message": {"role": "assistant", "content": None, "refusal": "No"},
                "finish_reason": "length",
            },
        ],
        "usage": {"prompt_tokens": 1},
    }
    assert from_chat(chat) == {
        "id": "cmpl-7",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"text": "Hi", "index": 0, "logprobs": None, "finish_reason": "stop"},
            {"text": "No", "index": 1, "logprobs": None, "finish_reason": "length"},
        ],
        "usage": {"prompt_tokens": 1},
    }
    assert chat["object"] == "chat.completion"


@pytest.mark.parametrize(
    ("choice", "text", "reason"),
    [
        ({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}, "", None),
        ({"index": 0, "delta": {"content": "Hi"}}, "Hi", None),
        ({"index": 0, "delta": {}, "finish_reason": "tool_calls"}, "", "stop"),
        ({"index": 0, "delta": {}, "finish_reason": "content_filter"}, "", "content_filter"),
    ],
)
def test_chunks(choice: dict[str, Any], text: str, reason: str | None) -> None:
    answer = from_chat({"id": "chatcmpl-7", "object": "chat.completion.chunk", "choices": [choice]})
    assert answer["object"] == "text_completion"
    assert answer["choices"] == [{"text": text, "index": 0, "logprobs": None, "finish_reason": reason}]


def test_the_usage_chunk() -> None:
    chunk = {"id": "chatcmpl-7", "choices": [], "usage": {"prompt_tokens": 1}}
    assert from_chat(chunk) == {**chunk, "id": "cmpl-7", "object": "text_completion"}
