"""Tools and their choice: Anthropic's as OpenAI's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import Unsupported
from gateway.dialects.messages.checks import expect

_KNOWN = frozenset({"type", "name", "description", "input_schema", "strict"})
_HINTS = frozenset(
    {"cache_control", "input_examples", "eager_input_streaming", "defer_loading", "allowed_callers"}
)
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def add_tools(chat: dict[str, Any], body: Mapping[str, Any], dropped: dict[str, None]) -> None:
    """Add the tools of a Messages request and the choice among them to ``chat``. Raises `Unsupported`."""
    tools = [_tool(expect(tool, dict, "tools"), dropped) for tool in body.get("tools") or ()]
    choice = expect(body.get("tool_choice") or {}, dict, "tool_choice")
    if not tools:
        if choice.get("type") in ("any", "tool"):
            raise Unsupported("tool_choice", "there are no tools to choose from")
        return
    chat["tools"] = tools
    if choice:
        chat["tool_choice"] = _choice(choice)
        if choice.get("disable_parallel_tool_use") is True:
            chat["parallel_tool_calls"] = False


def _tool(tool: Mapping[str, Any], dropped: dict[str, None]) -> dict[str, Any]:
    if tool.get("type") not in (None, "custom"):
        raise Unsupported("tools", f"{str(tool['type'])[:40]!r} is a tool of Anthropic's own")
    for name, value in tool.items():
        if name not in _KNOWN and value is not None:
            dropped[name if name in _HINTS else "tools"] = None
    function: dict[str, Any] = {"name": expect(tool.get("name"), str, "tools")}
    if tool.get("description"):
        function["description"] = tool["description"]
    function["parameters"] = expect(tool.get("input_schema"), dict, "tools")
    if tool.get("strict") is not None:
        function["strict"] = tool["strict"]
    return {"type": "function", "function": function}


def _choice(choice: Mapping[str, Any]) -> str | dict[str, Any]:
    kind = choice.get("type")
    if kind == "tool":
        return {"type": "function", "function": {"name": expect(choice.get("name"), str, "tool_choice")}}
    if isinstance(kind, str) and kind in _CHOICES:
        return _CHOICES[kind]
    raise Unsupported("tool_choice", "must be auto, any, tool or none")
