"""Tools and the choice among them."""

from typing import Any

import pytest

from gateway.api import Unsupported
from gateway.dialects.gemini_tools import calling, declarations


def test_functions_are_declared_with_their_schema_unchanged() -> None:
    schema = {"type": ["object", "null"], "$defs": {"a": {}}, "additionalProperties": False}
    tools = [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": schema, "strict": True},
        },
        {"type": "function", "function": {"name": "_g", "parameters": {}, "strict": None}},
    ]
    declared, dropped = declarations(tools)
    assert declared == [{"name": "f", "description": "d", "parametersJsonSchema": schema}, {"name": "_g"}]
    assert declared[0]["parametersJsonSchema"] is schema
    assert dropped == ["tools.strict"]


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "custom", "custom": {"name": "x"}},
        {"type": "function", "function": {"name": "2fast"}},
        {"type": "function", "function": {"name": 5}},
        {"type": "function", "function": {}},
        {"type": "web_search"},
        "f",
    ],
)
def test_other_tools_are_refused(tool: Any) -> None:
    with pytest.raises(Unsupported) as caught:
        declarations([tool])
    assert caught.value.param == "tools"


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (named("f"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named("f"), named("g")]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named("f")]}},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_choices(choice: Any, expected: dict[str, Any]) -> None:
    assert calling(choice) == expected


@pytest.mark.parametrize(
    "choice",
    [
        "any",
        5,
        {},
        {"type": "custom", "custom": {"name": "x"}},
        {"type": "function"},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": ["f"]}},
    ],
)
def test_other_choices_are_refused(choice: Any) -> None:
    with pytest.raises(Unsupported) as caught:
        calling(choice)
    assert caught.value.param == "tool_choice"


def test_what_tools_lose_is_named() -> None:
    tool = {**named("f"), "cache_control": {"type": "ephemeral"}}
    other = {"type": "function", "function": {"name": "g", "parameters": {}, "weight": 5}}
    assert declarations([tool, other])[1] == ["tools.cache_control", "tools.weight"]
