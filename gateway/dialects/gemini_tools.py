"""OpenAI's ``tools`` and ``tool_choice`` as Gemini's function declarations and calling mode."""

from __future__ import annotations

from typing import Any

from gateway.api import Unsupported
from gateway.dialects.losses import lost

Json = dict[str, Any]

_TOOL = frozenset({"type", "function"})
_FUNCTION = frozenset({"name", "description", "parameters"})
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def declarations(tools: Any) -> tuple[list[Json], list[str]]:
    """The declarations of function tools, and the names of what they lose: ``tools.strict``, for example.

    Schemas go as JSON Schema, unchanged: Gemini ignores the keywords that it does not know.
    Raises `Unsupported` for other kinds of tools and for names that Gemini does not take.
    """
    declared: list[Json] = []
    dropped: dict[str, None] = {}
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict):
            raise Unsupported("tools", "only function tools")
        name = function.get("name")
        if not isinstance(name, str) or not (name[:1].isalpha() or name[:1] == "_"):
            raise Unsupported("tools", "a function's name must begin with a letter or an underscore")
        declaration: Json = {"name": name}
        if function.get("description"):
            declaration["description"] = function["description"]
        if function.get("parameters"):
            declaration["parametersJsonSchema"] = function["parameters"]
        dropped.update(dict.fromkeys((*lost(tool, _TOOL, "tools"), *lost(function, _FUNCTION, "tools"))))
        declared.append(declaration)
    return declared, list(dropped)


def calling(choice: Any) -> Json:
    """``functionCallingConfig``. Raises `Unsupported` for a choice that is not among functions."""
    if isinstance(choice, str) and choice in _MODES:
        return {"mode": _MODES[choice]}
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "function":
        return {"mode": "ANY", "allowedFunctionNames": [_name(choice)]}
    if kind == "allowed_tools" and isinstance(allowed := choice.get(kind), dict):
        tools = allowed.get("tools")
        names = [_name(tool) for tool in tools] if isinstance(tools, list) else []
        return {
            "mode": "ANY" if allowed.get("mode") == "required" else "VALIDATED",
            "allowedFunctionNames": names,
        }
    raise Unsupported("tool_choice", "neither a mode nor a choice among functions")


def _name(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise Unsupported("tool_choice", "a choice that is not a function")
    return name
