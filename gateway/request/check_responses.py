"""What makes a request of the Responses API valid, wherever it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.api import ApiError
from gateway.request.checks import check_common, check_text, invalid, missing, wrong_type

_KINDS: Mapping[str, tuple[type, str]] = {
    "instructions": (str, "a string"),
    "text": (dict, "an object"),
    "reasoning": (dict, "an object"),
    "metadata": (dict, "an object"),
    "include": (list, "an array"),
    "previous_response_id": (str, "a string"),
}
_INSTEAD_OF_INPUT = ("previous_response_id", "conversation", "prompt")
_MOST_TOKENS = 10**9


def check_responses(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` is a request of the Responses API."""
    check_common(body)
    for name in _KINDS.keys() & body.keys():
        kind, expected = _KINDS[name]
        if body[name] is not None and not isinstance(body[name], kind):
            raise wrong_type(name, expected, body[name])
    limit = body.get("max_output_tokens")
    if limit is not None:
        if type(limit) is not int:
            raise wrong_type("max_output_tokens", "an integer", limit)
        if not 1 <= limit <= _MOST_TOKENS:
            raise invalid("max_output_tokens", f"must be between 1 and {_MOST_TOKENS}")
    if body.get("background"):
        raise ApiError(
            "unsupported_parameter",
            "'background' is not supported: the gateway has no endpoint to fetch the answer from later.",
            param="background",
        )
    _check_input(body)
    if body.get("tools") is not None:
        _check_tools(body["tools"])


def _check_input(body: Mapping[str, Any]) -> None:
    given = body.get("input")
    if given is None:
        if any(body.get(name) is not None for name in _INSTEAD_OF_INPUT):
            return
        raise missing("input")
    if isinstance(given, str):
        return
    if not isinstance(given, list):
        raise wrong_type("input", "a string or an array of objects", given)
    if not given:
        raise invalid("input", "must hold at least one item")
    for index, item in enumerate(given):
        if not isinstance(item, dict):
            raise wrong_type(f"input[{index}]", "an object", item)
        kind = item.get("type", "message")
        if not isinstance(kind, str):
            raise wrong_type(f"input[{index}].type", "a string", kind)
        if (check := _ITEMS.get(kind)) is not None:
            check(f"input[{index}]", item)


def _check_message(where: str, item: Mapping[str, Any]) -> None:
    check_text(f"{where}.role", item.get("role"))
    _check_content(f"{where}.content", item.get("content"))


def _check_call(where: str, item: Mapping[str, Any]) -> None:
    for name in ("call_id", "name", "arguments"):
        check_text(f"{where}.{name}", item.get(name))


def _check_output(where: str, item: Mapping[str, Any]) -> None:
    check_text(f"{where}.call_id", item.get("call_id"))
    _check_content(f"{where}.output", item.get("output"))


def _check_content(where: str, content: Any) -> None:
    """A string, or parts that say of what kind they are."""
    if isinstance(content, str):
        return
    if content is None:
        raise missing(where)
    if not isinstance(content, list):
        raise wrong_type(where, "a string or an array of objects", content)
    for index, part in enumerate(content):
        if not isinstance(part, dict):
            raise wrong_type(f"{where}[{index}]", "an object", part)
        check_text(f"{where}[{index}].type", part.get("type"))


def _check_tools(tools: Any) -> None:
    if not isinstance(tools, list):
        raise wrong_type("tools", "an array of objects", tools)
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict):
            raise wrong_type(f"tools[{index}]", "an object", tool)
        check_text(f"tools[{index}].type", tool.get("type"))
        if tool["type"] == "function":
            check_text(f"tools[{index}].name", tool.get("name"))


_ITEMS: Mapping[str, Callable[[str, Mapping[str, Any]], None]] = {
    "message": _check_message,
    "function_call": _check_call,
    "function_call_output": _check_output,
}
"""How items are checked; those of other kinds are for their provider to judge."""
