"""Requests for messages that no provider could accept are refused by name of the parameter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import ApiError
from gateway.dialects.spoken import dialect_at
from gateway.request.operations import CHAT, COUNT_TOKENS, MESSAGES
from tests.dialects.messages.inbound.turns import bodies

USER = {"role": "user", "content": "Hi"}
HELLO: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [USER]}


def saying(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [*blocks]}]}


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"model": None}, "missing_required_parameter", "model"),
        ({"base_url": "x"}, "unsupported_parameter", "base_url"),
        ({"max_tokens": None}, "missing_required_parameter", "max_tokens"),
        ({"max_tokens": "9"}, "invalid_type", "max_tokens"),
        ({"max_tokens": True}, "invalid_type", "max_tokens"),
        ({"max_tokens": -1}, "invalid_value", "max_tokens"),
        ({"messages": None}, "missing_required_parameter", "messages"),
        ({"messages": {}}, "invalid_type", "messages"),
        ({"messages": []}, "invalid_value", "messages"),
        ({"messages": ["Hi"]}, "invalid_type", "messages[0]"),
        ({"messages": [{"content": "Hi"}]}, "missing_required_parameter", "messages[0].role"),
        ({"messages": [{"role": 1, "content": "Hi"}]}, "invalid_type", "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "Hi"}]}, "invalid_value", "messages[0].role"),
        ({"messages": [USER, {"role": "user"}]}, "missing_required_parameter", "messages[1].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "invalid_type", "messages[0].content"),
        (saying(5), "invalid_type", "messages[0].content[0]"),
        (saying({}), "missing_required_parameter", "messages[0].content[0].type"),
        (saying({"type": []}), "invalid_type", "messages[0].content[0].type"),
        (saying({"type": "text"}), "invalid_type", "messages[0].content[0].text"),
        (saying({"type": "image"}), "invalid_type", "messages[0].content[0].source"),
        (saying({"type": "tool_use", "id": "a"}), "invalid_type", "messages[0].content[0].name"),
        (
            saying({"type": "tool_use", "id": "a", "name": "f", "input": "{}"}),
            "invalid_type",
            "messages[0].content[0].input",
        ),
        (
            saying({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text"}]}),
            "invalid_type",
            "messages[0].content[0].content[0].text",
        ),
        ({"system": 5}, "invalid_type", "system"),
        ({"stream": 1}, "invalid_type", "stream"),
        ({"temperature": 1.5}, "invalid_value", "temperature"),
        ({"top_p": "x"}, "invalid_type", "top_p"),
        ({"top_k": 1.5}, "invalid_type", "top_k"),
        ({"stop_sequences": "x"}, "invalid_type", "stop_sequences"),
        ({"stop_sequences": [1]}, "invalid_type", "stop_sequences"),
        ({"thinking": "yes"}, "invalid_type", "thinking"),
        ({"metadata": []}, "invalid_type", "metadata"),
        ({"tools": {}}, "invalid_type", "tools"),
        ({"tools": [1]}, "invalid_type", "tools[0]"),
        ({"tools": [{"type": 1}]}, "invalid_type", "tools[0].type"),
        ({"tools": [{"input_schema": {}}]}, "invalid_type", "tools[0].name"),
        ({"tools": [{"name": "f"}]}, "invalid_type", "tools[0].input_schema"),
    ],
)
def test_refusals(change: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        MESSAGES.check({**HELLO, **change})
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, param)


@pytest.mark.parametrize(
    "change",
    [
        {"max_tokens": 0},
        {"n": "unknown", "stream_options": "unknown", "new": [1]},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        saying({"type": "something_new", "x": 1}),
        saying({"type": "tool_result", "tool_use_id": "a"}),
        {"system": [{"type": "text", "text": ""}], "temperature": None, "tools": None},
    ],
)
def test_what_some_provider_may_take(change: dict[str, Any]) -> None:
    MESSAGES.check({**HELLO, **change})


@settings(max_examples=50, deadline=None)
@given(bodies)
def test_good_requests_pass(body: dict[str, Any]) -> None:
    MESSAGES.check(body)
    assert MESSAGES.asked_tokens(body) == ("max_tokens", body["max_tokens"])


json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from([*HELLO, "system", "tools", "thinking", "stream"]), json))
def test_anything_is_checked_without_a_crash(change: dict[str, Any]) -> None:
    try:
        MESSAGES.check({**HELLO, **change})
    except ApiError as error:
        assert error.status == 400


def test_a_count_needs_no_limit() -> None:
    COUNT_TOKENS.check({"model": "m", "messages": [USER], "max_tokens": "not ours to judge"})
    assert COUNT_TOKENS.asked_tokens({"max_tokens": "x"}) is None


@pytest.mark.parametrize(
    "path", ["/v1/messages", "/api/v1/messages", "/v1/messages/count_tokens", "/v1/messages/x"]
)
def test_what_is_spoken_at_a_path(path: str) -> None:
    assert dialect_at(path).name == "messages"
    assert dialect_at(f"/v2{path}") is CHAT.dialect
    assert dialect_at("/v1/messagesx") is CHAT.dialect
