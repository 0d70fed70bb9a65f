"""Tools and their choice."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Unsupported
from gateway.dialects.messages.parts import Marks
from gateway.dialects.messages.request import Target, from_chat
from gateway.dialects.messages.tools import choose, tools_from_chat

FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}
TOOLS = [{"type": "function", "function": FUNCTION}, {"type": "function", "function": {"name": "g"}}]


def test_tools() -> None:
    assert tools_from_chat(TOOLS, Marks(), {}) == [
        {"name": "f", "input_schema": FUNCTION["parameters"], "description": "d"},
        {"name": "g", "input_schema": {"type": "object"}},
    ]


def test_a_strict_tool_has_a_closed_schema() -> None:
    (tool,) = tools_from_chat([{"type": "function", "function": {**FUNCTION, "strict": True}}], Marks(), {})
    assert tool["strict"] is True and tool["input_schema"]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("body", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": TOOLS[1]}, {"type": "tool", "name": "g"}),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
def test_choice(body: dict[str, Any], choice: dict[str, Any] | None) -> None:
    tools = tools_from_chat(TOOLS, Marks(), {})
    assert choose(body, tools) == (choice, tools)


def test_allowed_tools() -> None:
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOLS[1]]}}
    choice, tools = choose({"tool_choice": allowed}, tools_from_chat(TOOLS, Marks(), {}))
    assert choice == {"type": "any"} and [tool["name"] for tool in tools] == ["g"]


def test_tools_that_only_the_history_knows_are_defined_but_not_to_be_used() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "old", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "r"},
    ]
    payload, _ = from_chat({"messages": messages}, Target("claude-opus-4-8", "2023-06-01", 4096))
    assert payload["tools"] == [{"name": "old", "input_schema": {"type": "object"}}]
    assert payload["tool_choice"] == {"type": "none"}


def test_a_model_that_always_thinks_cannot_be_forced() -> None:
    body = {"messages": [], "tools": TOOLS, "tool_choice": "required"}
    with pytest.raises(Unsupported, match="tool_choice"):
        from_chat(body, Target("claude-opus-5-5", "2023-06-01", 4096))


def test_what_tools_lose_is_named() -> None:
    dropped: dict[str, None] = {}
    mark = {"cache_control": {"type": "ephemeral"}}
    tools_from_chat(
        [{"type": "function", "function": {**FUNCTION, "weight": 5}, "color": 1, **mark}], Marks(), dropped
    )
    assert list(dropped) == ["tools.color", "tools.weight"]
