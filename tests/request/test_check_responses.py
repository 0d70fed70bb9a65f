"""Requests of the Responses API: what no provider could accept is refused, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import ApiError, Call, Unsupported
from gateway.dialects.responses.native import native_body
from gateway.dialects.responses.request import to_chat
from gateway.request.check_responses import check_responses
from gateway.request.operations import RESPONSES

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = ("type", "role", "content", "call_id", "name", "arguments", "output", "id", "summary", "container")
_OBJECTS = st.dictionaries(
    st.sampled_from(_FIELDS),
    st.sampled_from(["message", "function_call", "function_call_output", "function", "user", "auto"]) | _JSON,
)
_NAMES = (
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "include",
    "prompt",
    "metadata",
)


@pytest.mark.parametrize(
    "more",
    [
        {"input": "Hello"},
        {"input": [{"type": "something_new", "content": 7}]},
        {"input": [{"role": "user", "content": [{"type": "input_new"}]}]},
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1", "input": None},
        {"prompt": {"id": "pmpt_1"}},
        {"input": "x", "tools": [{"type": "namespace", "tools": []}], "client_metadata": {"a": 1}},
        {"input": "x", "background": False, "max_output_tokens": None, "metadata": None},
    ],
)
def test_good_requests(more: dict[str, Any]) -> None:
    check_responses({"model": "m", **more})


@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({}, "missing_required_parameter", "input"),
        ({"input": {}}, "invalid_type", "input"),
        ({"input": [{"role": 7, "content": "x"}]}, "invalid_type", "input[0].role"),
        ({"input": [{"content": "x"}]}, "missing_required_parameter", "input[0].role"),
        ({"input": [{"role": "user", "content": 7}]}, "invalid_type", "input[0].content"),
        ({"input": [{"role": "user", "content": ["x"]}]}, "invalid_type", "input[0].content[0]"),
        (
            {"input": [{"type": "function_call_output", "call_id": "c"}]},
            "missing_required_parameter",
            "input[0].output",
        ),
        ({"input": "x", "instructions": ["x"]}, "invalid_type", "instructions"),
        ({"input": "x", "reasoning": "high"}, "invalid_type", "reasoning"),
        ({"input": "x", "include": "all"}, "invalid_type", "include"),
        ({"input": "x", "max_output_tokens": True}, "invalid_type", "max_output_tokens"),
        ({"input": "x", "tools": [7]}, "invalid_type", "tools[0]"),
        ({"input": "x", "tools": [{}]}, "missing_required_parameter", "tools[0].type"),
        ({"input": "x", "background": True}, "unsupported_parameter", "background"),
        ({"input": "x", "stream": "yes"}, "invalid_type", "stream"),
    ],
)
def test_bad_requests(more: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_responses({"model": "m", **more})
    assert (caught.value.code, caught.value.param) == (code, param)


def test_the_limit_that_the_client_set() -> None:
    assert RESPONSES.asked_tokens({"max_output_tokens": 9}) == ("max_output_tokens", 9)
    assert RESPONSES.asked_tokens({"max_tokens": 9}) is None


@given(
    st.fixed_dictionaries({"model": st.just("m")}, optional=dict.fromkeys(_NAMES, _JSON | st.lists(_OBJECTS)))
)
def test_what_is_accepted_can_be_sent_or_is_not_supported(body: dict[str, Any]) -> None:
    try:
        check_responses(body)
    except ApiError:
        return
    for send in (to_chat, lambda body: native_body(Call("responses", "m", body), stateful=False)):
        try:
            send(body)
        except Unsupported as unsupported:
            assert unsupported.param.partition(".")[0] in {*body, "input"}
