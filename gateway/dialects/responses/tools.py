"""Tools and their choice: those of a Responses request as those of a chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import Unsupported
from gateway.dialects.losses import lost
from gateway.dialects.messages.checks import expect

Tool = dict[str, Any]

_DESCRIBED = ("description", "parameters", "strict")
_KNOWN = frozenset({"type", "name", *_DESCRIBED})


def chat_tools(tools: object, dropped: dict[str, None]) -> list[Tool]:
    """The tools of a request. ``dropped`` is added to.

    Raises `Unsupported` for those that the provider itself would run, and for all others that are not
    functions: an answer without them would be a different one.
    """
    return [_tool(expect(tool, dict, "tools"), dropped) for tool in expect(tools or [], list, "tools")]


def _tool(tool: Mapping[str, Any], dropped: dict[str, None]) -> Tool:
    if tool.get("type") != "function":
        raise Unsupported("tools", "only function tools are translated; others run at OpenAI")
    dropped.update(dict.fromkeys(lost(tool, _KNOWN, "tools")))
    function = {"name": expect(tool.get("name"), str, "tools")}
    function.update({name: tool[name] for name in _DESCRIBED if tool.get(name) is not None})
    return {"type": "function", "function": function}


def chat_choice(choice: object) -> Any:
    """``tool_choice`` as a chat has it. Raises `Unsupported`."""
    if choice == "auto" or choice == "none" or choice == "required":
        return choice
    asked = expect(choice, dict, "tool_choice")
    if asked.get("type") != "allowed_tools":
        return _named(asked)
    tools = [
        _named(expect(tool, dict, "tool_choice")) for tool in expect(asked.get("tools"), list, "tool_choice")
    ]
    return {"type": "allowed_tools", "allowed_tools": {"mode": asked.get("mode", "auto"), "tools": tools}}


def _named(entry: Mapping[str, Any]) -> Tool:
    if entry.get("type") != "function":
        raise Unsupported("tool_choice", "only function tools can be chosen")
    return {"type": "function", "function": {"name": expect(entry.get("name"), str, "tool_choice")}}
