"""What makes a request of the Responses API valid, wherever it goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import ApiError
from gateway.request.checks import (
    MAX_TOKENS,
    Check,
    check_common,
    check_content,
    check_counts,
    check_objects,
    check_text,
    invalid,
    wrong_type,
)

_KINDS: Mapping[str, tuple[type, str]] = {
    "instructions": (str, "a string"),
    "text": (dict, "an object"),
    "reasoning": (dict, "an object"),
    "metadata": (dict, "an object"),
    "include": (list, "an array"),
    "previous_response_id": (str, "a string"),
}
_INSTEAD_OF_INPUT = ("previous_response_id", "conversation", "prompt")
_COUNTS = {"max_output_tokens": (1, MAX_TOKENS)}


def check_responses(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` is a request of the Responses API."""
    check_common(body)
    for name in _KINDS.keys() & body.keys():
        kind, expected = _KINDS[name]
        if body[name] is not None and not isinstance(body[name], kind):
            raise wrong_type(name, expected, body[name])
    check_counts(body, _COUNTS)
    if body.get("background"):
        raise ApiError(
            "unsupported_parameter",
            "'background' is not supported: the gateway has no endpoint to fetch the answer from later.",
            param="background",
        )
    _check_input(body)
    if body.get("tools") is not None:
        check_objects("tools", body["tools"], _check_tool)


def _check_input(body: Mapping[str, Any]) -> None:
    given = body.get("input")
    if given is None and any(body.get(name) is not None for name in _INSTEAD_OF_INPUT):
        return
    if given == []:
        raise invalid("input", "must hold at least one item")
    check_content("input", given, _check_item)


def _check_item(where: str, item: Mapping[str, Any]) -> None:
    kind = item.get("type", "message")
    if not isinstance(kind, str):
        raise wrong_type(f"{where}.type", "a string", kind)
    if (check := _ITEMS.get(kind)) is not None:
        check(where, item)


def _check_message(where: str, item: Mapping[str, Any]) -> None:
    check_text(f"{where}.role", item.get("role"))
    check_content(f"{where}.content", item.get("content"), _check_part)


def _check_call(where: str, item: Mapping[str, Any]) -> None:
    for name in ("call_id", "name", "arguments"):
        check_text(f"{where}.{name}", item.get(name))


def _check_output(where: str, item: Mapping[str, Any]) -> None:
    check_text(f"{where}.call_id", item.get("call_id"))
    check_content(f"{where}.output", item.get("output"), _check_part)


def _check_part(where: str, part: Mapping[str, Any]) -> None:
    check_text(f"{where}.type", part.get("type"))


def _check_tool(where: str, tool: Mapping[str, Any]) -> None:
    if check_text(f"{where}.type", tool.get("type")) == "function":
        check_text(f"{where}.name", tool.get("name"))


_ITEMS: Mapping[str, Check] = {
    "message": _check_message,
    "function_call": _check_call,
    "function_call_output": _check_output,
}
"""How items are checked; those of other kinds are for their provider to judge."""
