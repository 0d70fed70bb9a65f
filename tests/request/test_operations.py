"""Requests that no provider could accept are refused by name of the parameter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import ApiError
from gateway.request.operations import CHAT, COMPLETIONS, EMBEDDINGS, Operation

USER = {"role": "user", "content": "Hi"}


def refusal(operation: Operation, body: dict[str, Any]) -> tuple[str, str | None]:
    with pytest.raises(ApiError) as caught:
        operation.check(body)
    assert caught.value.status == 400
    return caught.value.code, caught.value.param


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"model": None}, "missing_required_parameter", "model"),
        ({"model": ""}, "invalid_value", "model"),
        ({"model": 5}, "invalid_type", "model"),
        ({"model": "m" * 10_240}, "invalid_value", "model"),
        ({"model": "a\nb"}, "invalid_value", "model"),
        ({"messages": None}, "missing_required_parameter", "messages"),
        ({"messages": []}, "invalid_value", "messages"),
        ({"messages": "Hi"}, "invalid_type", "messages"),
        ({"messages": [None]}, "invalid_type", "messages[0]"),
        ({"messages": [{"content": "Hi"}]}, "missing_required_parameter", "messages[0].role"),
        ({"messages": [USER, {"role": "usr"}]}, "invalid_value", "messages[1].role"),
        ({"messages": [{"role": ["user"]}]}, "invalid_type", "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "invalid_type", "messages[0].content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "invalid_type", "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
            "invalid_type",
            "messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": "x"}]},
            "invalid_type",
            "messages[0].tool_calls",
        ),
        ({"max_tokens": -1}, "invalid_value", "max_tokens"),
        ({"max_tokens": 0}, "invalid_value", "max_tokens"),
        ({"max_tokens": 1.5}, "invalid_type", "max_tokens"),
        ({"max_tokens": "5"}, "invalid_type", "max_tokens"),
        ({"max_tokens": True}, "invalid_type", "max_tokens"),
        ({"max_tokens": 10**12}, "invalid_value", "max_tokens"),
        ({"temperature": 99}, "invalid_value", "temperature"),
        ({"temperature": "1"}, "invalid_type", "temperature"),
        ({"n": 0}, "invalid_value", "n"),
        ({"n": 10_000}, "invalid_value", "n"),
        ({"stream": "true"}, "invalid_type", "stream"),
        ({"stream": 1}, "invalid_type", "stream"),
        ({"stream_options": {"include_usage": True}}, "invalid_value", "stream_options"),
        ({"stream": True, "stream_options": 1}, "invalid_type", "stream_options"),
        ({"api_base": "http://127.0.0.1:1"}, "unsupported_parameter", "api_base"),
        ({"base_url": "http://127.0.0.1:1"}, "unsupported_parameter", "base_url"),
        ({"api_key": "sk-1"}, "unsupported_parameter", "api_key"),
        ({"extra_headers": {}}, "unsupported_parameter", "extra_headers"),
        ({"tools": {}}, "invalid_type", "tools"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "tools[0].function.name"),
    ],
)
def test_a_bad_chat_parameter_is_named(change: dict[str, Any], code: str, param: str) -> None:
    assert refusal(CHAT, {"model": "m", "messages": [USER], **change}) == (code, param)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "missing_required_parameter"),
        ("", "invalid_value"),
        ([], "invalid_value"),
        (["a"] * 5000, "invalid_value"),
        (["a", 1], "invalid_value"),
        (["a", ""], "invalid_value"),
        ([[]], "invalid_value"),
        ([[1, "a"]], "invalid_value"),
        ([True], "invalid_value"),
        ({}, "invalid_type"),
    ],
)
def test_bad_embedding_input_is_refused(value: Any, code: str) -> None:
    assert refusal(EMBEDDINGS, {"model": "m", "input": value}) == (code, "input")


@pytest.mark.parametrize("value", ["Hi", ["a", "b"], [1, 2], [[1], [2, 3]]])
def test_every_form_of_embedding_input_is_taken(value: Any) -> None:
    EMBEDDINGS.check({"model": "m", "input": value})


def test_a_completion_needs_a_prompt_which_may_be_empty() -> None:
    COMPLETIONS.check({"model": "m", "prompt": ""})
    assert refusal(COMPLETIONS, {"model": "m"}) == ("missing_required_parameter", "prompt")


def test_null_stands_for_the_default() -> None:
    CHAT.check({"model": "m", "messages": [USER], "stream": None, "temperature": None, "max_tokens": None})


def test_unknown_parameters_are_none_of_our_business() -> None:
    CHAT.check({"model": "m", "messages": [USER], "frobnicate": {"__proto__": "{{7*7}}"}})


@given(
    st.dictionaries(
        st.sampled_from(
            ["model", "messages", "tools", "stream", "stream_options", "n", "max_tokens", "top_p"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["role", "content", "type", "text", "tool_calls", "function", "name"]),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=10,
        ),
    )
)
@settings(max_examples=300, deadline=None)
def test_any_json_object_is_accepted_or_refused_with_an_api_error(body: dict[str, Any]) -> None:
    for operation in (CHAT, COMPLETIONS, EMBEDDINGS):
        try:
            operation.check(body)
        except ApiError as error:
            assert error.status == 400
            assert error.param
