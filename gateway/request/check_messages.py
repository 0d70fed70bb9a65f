"""What a request in Anthropic's dialect must be for any provider to accept it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.request.checks import (
    check_addressed,
    check_content,
    check_objects,
    check_ranges,
    check_text,
    invalid,
    messages_of,
    missing,
    wrong_type,
)

_ROLES = frozenset({"user", "assistant", "system"})
_RANGES = {"temperature": (0, 1), "top_p": (0, 1)}
_OBJECTS = ("tool_choice", "thinking", "metadata", "output_config")
_TEXTS = {
    # The texts that a block of a type must have.
    "text": ("text",),
    "tool_use": ("id", "name"),
    "tool_result": ("tool_use_id",),
    "thinking": ("thinking",),
}
_HOLDERS = frozenset({"image", "document"})


def check_messages(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` is a request for a message."""
    check_count(body)
    limit = body.get("max_tokens")
    if limit is None:
        raise missing("max_tokens")
    _check_integer("max_tokens", limit)
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise wrong_type("stream", "a boolean", stream)
    check_ranges(body, _RANGES)
    if (value := body.get("top_k")) is not None:
        _check_integer("top_k", value)
    stops = body.get("stop_sequences")
    if stops is not None and not (isinstance(stops, list) and all(isinstance(stop, str) for stop in stops)):
        raise wrong_type("stop_sequences", "an array of strings", stops)


def check_count(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` is a request to count its tokens."""
    check_addressed(body)
    check_objects("messages", messages_of(body), _check_message)
    if (system := body.get("system")) is not None:
        check_content("system", system, _check_block)
    for name in _OBJECTS:
        if (value := body.get(name)) is not None and not isinstance(value, dict):
            raise wrong_type(name, "an object", value)
    if (tools := body.get("tools")) is not None:
        check_objects("tools", tools, _check_tool)


def _check_integer(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, "an integer", value)
    if value < 0:
        raise invalid(name, "must not be negative")


def _check_message(where: str, message: Mapping[str, Any]) -> None:
    role = check_text(f"{where}.role", message.get("role"))
    if role not in _ROLES:
        raise invalid(f"{where}.role", f"must be one of {', '.join(sorted(_ROLES))}")
    check_content(f"{where}.content", message.get("content"), _check_block)


def _check_block(where: str, block: Mapping[str, Any]) -> None:
    kind = check_text(f"{where}.type", block.get("type"))
    for name in _TEXTS.get(kind, ()):
        if not isinstance(block.get(name), str):
            raise wrong_type(f"{where}.{name}", "a string", block.get(name))
    if kind in _HOLDERS and not isinstance(block.get("source"), dict):
        raise wrong_type(f"{where}.source", "an object", block.get("source"))
    if kind == "tool_use" and not isinstance(block.get("input"), dict):
        raise wrong_type(f"{where}.input", "an object", block.get("input"))
    if kind == "tool_result" and block.get("content") is not None:
        check_content(f"{where}.content", block["content"], _check_block)


def _check_tool(where: str, tool: Mapping[str, Any]) -> None:
    kind = tool.get("type")
    if kind is not None and not isinstance(kind, str):
        raise wrong_type(f"{where}.type", "a string", kind)
    if kind in (None, "custom"):
        if not isinstance(tool.get("name"), str):
            raise wrong_type(f"{where}.name", "a string", tool.get("name"))
        if not isinstance(tool.get("input_schema"), dict):
            raise wrong_type(f"{where}.input_schema", "an object", tool.get("input_schema"))
