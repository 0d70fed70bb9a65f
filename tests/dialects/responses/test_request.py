"""Requests of the Responses API as chats: what is translated, dropped and refused."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Unsupported
from gateway.dialects.responses.request import to_chat

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"type": "function", "name": "get_weather", "description": "Of a city.", "parameters": SCHEMA}


def chat(**asked: Any) -> dict[str, Any]:
    """The chat of a request that loses nothing, without what every chat has."""
    body, dropped = to_chat({"model": "m", "input": "Hello", **asked})
    assert dropped == ()
    del body["model"]
    return body


def refused(**asked: Any) -> str:
    with pytest.raises(Unsupported) as caught:
        to_chat({"model": "m", "input": "Hello", **asked})
    return caught.value.param


def dropped(**asked: Any) -> tuple[str, ...]:
    return to_chat({"model": "m", "input": "Hello", **asked})[1]


def test_a_text_is_one_message_of_the_user() -> None:
    assert chat() == {"messages": [{"role": "user", "content": "Hello"}]}


def test_instructions_come_first() -> None:
    assert chat(instructions="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
    ]


def test_parameters_with_another_name() -> None:
    body = chat(
        max_output_tokens=50, reasoning={"effort": "low", "summary": "auto"}, text={"verbosity": "low"}
    )
    del body["messages"]
    assert body == {"max_completion_tokens": 50, "reasoning_effort": "low", "verbosity": "low"}


def test_parameters_with_the_same_name() -> None:
    asked = {
        "stream": True,
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u",
        "safety_identifier": "s",
        "service_tier": "flex",
        "prompt_cache_key": "k",
    }
    body = chat(**asked)
    del body["messages"]
    assert body == asked


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True, "description": None},
            {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
        ),
    ],
)
def test_formats(wanted: dict[str, Any], expected: object) -> None:
    assert chat(text={"format": wanted}).get("response_format") == expected


def test_a_format_that_a_chat_does_not_know() -> None:
    assert refused(text={"format": {"type": "grammar"}}) == "text.format"


def test_tools() -> None:
    body = chat(
        tools=[{**FUNCTION, "strict": True}, {"type": "function", "name": "f"}], parallel_tool_calls=False
    )
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "Of a city.",
                "parameters": SCHEMA,
                "strict": True,
            },
        },
        {"type": "function", "function": {"name": "f"}},
    ]
    assert body["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    "kind",
    [
        *("web_search", "web_search_preview", "file_search", "code_interpreter", "computer_use_preview"),
        *("mcp", "image_generation", "local_shell", "custom", "namespace", None),
    ],
)
def test_tools_that_are_no_functions(kind: str | None) -> None:
    assert refused(tools=[{"type": kind, "name": "t"}]) == "tools"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
        ),
    ],
)
def test_the_choice_among_tools(choice: object, expected: object) -> None:
    assert chat(tools=[FUNCTION], tool_choice=choice)["tool_choice"] == expected


@pytest.mark.parametrize("choice", [{"type": "web_search_preview"}, {"type": "mcp", "server_label": "s"}, {}])
def test_the_choice_of_a_hosted_tool(choice: dict[str, str]) -> None:
    assert refused(tools=[FUNCTION], tool_choice=choice) == "tool_choice"


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_without_tools_there_is_nothing_to_choose(choice: str) -> None:
    assert chat(tool_choice=choice, parallel_tool_calls=True, tools=[]) == chat()


def test_log_probabilities() -> None:
    body = chat(top_logprobs=3)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 3)
    body = chat(include=["message.output_text.logprobs", "reasoning.encrypted_content"])
    assert body["logprobs"] is True and "top_logprobs" not in body
    assert chat(top_logprobs=0) == chat()


@pytest.mark.parametrize(
    "asked",
    [
        {"store": False},
        {"store": None},
        {"truncation": "disabled"},
        {"background": False},
        {"metadata": {"a": "b"}},
        {"stream_options": {"include_obfuscation": False}},
        {"max_tool_calls": 3},
        {"previous_response_id": None},
        {"reasoning": None, "text": None, "include": None},
    ],
)
def test_what_is_nothing_to_a_chat_is_no_loss(asked: dict[str, Any]) -> None:
    assert chat(**asked) == chat()


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"store": True}, "store"),
        ({"truncation": "auto"}, "truncation"),
        ({"context_management": [{}]}, "context_management"),
        ({"reasoning": {"context": "all_turns"}}, "reasoning"),
        ({"text": {"tone": "warm"}}, "text"),
        ({"client_metadata": {}}, "client_metadata"),
    ],
)
def test_what_is_dropped_is_named(asked: dict[str, Any], name: str) -> None:
    assert dropped(**asked) == (name,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("prompt", {"id": "pmpt_1"}),
        ("background", True),
    ],
)
def test_what_needs_stored_state_is_refused(name: str, value: object) -> None:
    assert refused(**{name: value}) == name


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_ANY = ("instructions", "tools", "tool_choice", "text", "reasoning", "include", "anything")
_ITEMS = st.lists(
    st.dictionaries(
        st.sampled_from(
            ["type", "role", "content", "call_id", "name", "arguments", "output", "id", "summary"]
        ),
        st.sampled_from(
            ["message", "function_call", "function_call_output", "reasoning", "user", "assistant"]
        )
        | _JSON,
        max_size=6,
    ),
    max_size=4,
)


@given(
    st.fixed_dictionaries(
        {"model": st.just("m"), "input": _ITEMS | _JSON},
        optional=dict.fromkeys(_ANY, _JSON),
    )
)
def test_no_request_is_more_than_refused_and_none_is_changed(body: dict[str, Any]) -> None:
    before = deepcopy(body)
    try:
        result, _ = to_chat(body)
    except Unsupported:
        pass
    else:
        assert all(isinstance(message["role"], str) for message in result["messages"])
    assert body == before


def test_what_is_lost_inside_of_items_and_tools_is_named() -> None:
    citation = {"type": "url_citation", "url": "https://e.x", "title": "t", "start_index": 0, "end_index": 1}
    spoken = {"type": "output_text", "text": "a", "annotations": [citation], "logprobs": [{}]}
    items = [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "content": [spoken],
            "phase": "final",
            "status": "completed",
        },
        {"role": "user", "content": [{"type": "input_text", "text": "b", "weight": 5}]},
    ]
    tool = {"type": "function", "name": "f", "parameters": {}, "strict": True, "defer_loading": True}
    body = {"model": "m", "input": items, "tools": [tool]}
    assert to_chat(body)[1] == ("input.annotations", "input.phase", "input.weight", "tools.defer_loading")


def test_an_answer_that_comes_back_loses_nothing() -> None:
    spoken = {"type": "output_text", "text": "a", "annotations": [], "logprobs": []}
    said = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [spoken]}
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": "r", "status": "completed"}
    body = {"model": "m", "input": [said, {**call, "status": "completed"}, output]}
    assert to_chat(body)[1] == ()
