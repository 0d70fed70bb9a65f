"""What a request in Anthropic's dialect must be for any provider to accept it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.request.checks import check_addressed, check_text, invalid, messages_of, missing, wrong_type

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
    for name, (low, high) in _RANGES.items():
        if (value := body.get(name)) is not None:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise wrong_type(name, "a number", value)
            if not low <= value <= high:
                raise invalid(name, f"must be between {low} and {high}")
    if (value := body.get("top_k")) is not None:
        _check_integer("top_k", value)
    stops = body.get("stop_sequences")
    if stops is not None and not (isinstance(stops, list) and all(isinstance(stop, str) for stop in stops)):
        raise wrong_type("stop_sequences", "an array of strings", stops)


def check_count(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` is a request to count its tokens."""
    check_addressed(body)
    for index, message in enumerate(messages_of(body)):
        _check_message(f"messages[{index}]", message)
    if (system := body.get("system")) is not None:
        _check_content("system", system)
    for name in _OBJECTS:
        if (value := body.get(name)) is not None and not isinstance(value, dict):
            raise wrong_type(name, "an object", value)
    if (tools := body.get("tools")) is not None:
        _check_tools(tools)


def _check_integer(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, "an integer", value)
    if value < 0:
        raise invalid(name, "must not be negative")


def _check_message(where: str, message: Any) -> None:
    if not isinstance(message, dict):
        raise wrong_type(where, "an object", message)
    role = check_text(f"{where}.role", message.get("role"))
    if role not in _ROLES:
        raise invalid(f"{where}.role", f"must be one of {', '.join(sorted(_ROLES))}")
    _check_content(f"{where}.content", message.get("content"))


def _check_content(where: str, content: Any) -> None:
    if isinstance(content, str):
        return
    if content is None:
        raise missing(where)
    if not isinstance(content, list):
        raise wrong_type(where, "a string or an array of objects", content)
    for index, block in enumerate(content):
        _check_block(f"{where}[{index}]", block)


def _check_block(where: str, block: Any) -> None:
    if not isinstance(block, dict):
        raise wrong_type(where, "an object", block)
    kind = check_text(f"{where}.type", block.get("type"))
    for name in _TEXTS.get(kind, ()):
        if not isinstance(block.get(name), str):
            raise wrong_type(f"{where}.{name}", "a string", block.get(name))
    if kind in _HOLDERS and not isinstance(block.get("source"), dict):
        raise wrong_type(f"{where}.source", "an object", block.get("source"))
    if kind == "tool_use" and not isinstance(block.get("input"), dict):
        raise wrong_type(f"{where}.input", "an object", block.get("input"))
    if kind == "tool_result" and block.get("content") is not None:
        _check_content(f"{where}.content", block["content"])


def _check_tools(tools: Any) -> None:
    if not isinstance(tools, list):
        raise wrong_type("tools", "an array of objects", tools)
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise wrong_type(where, "an object", tool)
        kind = tool.get("type")
        if kind is not None and not isinstance(kind, str):
            raise wrong_type(f"{where}.type", "a string", kind)
        if kind in (None, "custom"):
            if not isinstance(tool.get("name"), str):
                raise wrong_type(f"{where}.name", "a string", tool.get("name"))
            if not isinstance(tool.get("input_schema"), dict):
                raise wrong_type(f"{where}.input_schema", "an object", tool.get("input_schema"))
