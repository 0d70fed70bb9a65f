"""Tools and their choice: OpenAI's as Anthropic's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.api import Unsupported
from gateway.dialects.losses import lost
from gateway.dialects.messages.checks import expect
from gateway.dialects.messages.parts import Marks
from gateway.dialects.messages.schema import supported

Tool = dict[str, Any]

_MARKS = frozenset({"cache_control", "prompt_cache_breakpoint"})
_TOOL = frozenset({"type", "function", *_MARKS})
_FUNCTION = frozenset({"name", "description", "parameters", "strict", *_MARKS})


def tools_from_chat(tools: object, marks: Marks, dropped: dict[str, None]) -> list[Tool]:
    """The tools of a request. ``dropped`` is added to. Raises `Unsupported` for those that are not
    functions."""
    return [_tool(expect(tool, dict, "tools"), marks, dropped) for tool in expect(tools or [], list, "tools")]


def stand_ins(names: Iterable[str]) -> list[Tool]:
    """Tools for a history with tool calls in a request without tools: Anthropic wants them defined."""
    return [{"name": name, "input_schema": {"type": "object"}} for name in names]


def _tool(tool: Mapping[str, Any], marks: Marks, dropped: dict[str, None]) -> Tool:
    if tool.get("type", "function") != "function":
        raise Unsupported("tools", "only function tools are translated")
    function = expect(tool.get("function"), dict, "tools")
    dropped.update(dict.fromkeys((*lost(tool, _TOOL, "tools"), *lost(function, _FUNCTION, "tools"))))
    schema = expect(function.get("parameters") or {}, dict, "tools")
    strict = function.get("strict") is True
    if strict:
        schema = supported(schema)
    if schema.get("type") != "object":
        schema = {**schema, "type": "object"}
    result: Tool = {"name": expect(function.get("name"), str, "tools"), "input_schema": schema}
    if function.get("description"):
        result["description"] = function["description"]
    if strict:
        result["strict"] = True
    marks.copy(function, result)
    marks.copy(tool, result)
    return result


def choose(body: Mapping[str, Any], tools: list[Tool]) -> tuple[dict[str, Any] | None, list[Tool]]:
    """``tool_choice`` and ``parallel_tool_calls`` as Anthropic's choice, and the tools that remain.

    ``allowed_tools`` has no equivalent but to send no other tools. Raises `Unsupported`.
    """
    asked = body.get("tool_choice")
    if not tools:
        if asked is None or asked == "none" or asked == "auto":
            return None, tools
        raise Unsupported("tool_choice", "there are no tools to choose from")
    if isinstance(asked, dict) and asked.get("type") == "allowed_tools":
        allowed = expect(asked.get("allowed_tools"), dict, "tool_choice")
        names = {_name(entry) for entry in expect(allowed.get("tools"), list, "tool_choice")}
        tools = [tool for tool in tools if tool["name"] in names]
        asked = allowed.get("mode")
        if not tools:
            raise Unsupported("tool_choice", "none of the tools is allowed")
    choice = _choice(asked)
    if body.get("parallel_tool_calls") is False:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    return choice, tools


def _choice(asked: object) -> dict[str, Any] | None:
    if asked is None:
        return None
    if asked == "auto" or asked == "none":
        return {"type": asked}
    if asked == "required":
        return {"type": "any"}
    return {"type": "tool", "name": _name(asked)}


def _name(entry: object) -> str:
    function = entry.get("function") if isinstance(entry, dict) else None
    if not isinstance(function, dict):
        raise Unsupported("tool_choice", "only function tools can be chosen")
    return expect(function.get("name"), str, "tool_choice")
