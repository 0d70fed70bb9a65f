"""What makes a chat, a legacy completion or a request for embeddings valid, in OpenAI's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import ApiError
from gateway.request.checks import check_common, check_objects, invalid, messages_of, missing, wrong_type

MAX_EMBEDDING_INPUTS = 2048

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


def check_chat(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` is a chat request in OpenAI's form."""
    check_common(body)
    for index, message in enumerate(messages_of(body)):
        if not isinstance(message, dict):
            raise wrong_type(f"messages[{index}]", "an object", message)
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise _bad_role(f"messages[{index}].role", role)
        content = message.get("content")
        if not isinstance(content, str) and content is not None:
            _check_parts(f"messages[{index}].content", content)
        if "tool_calls" in message and message["tool_calls"] is not None:
            _check_tool_calls(f"messages[{index}].tool_calls", message["tool_calls"])
    if body.get("tools") is not None:
        check_objects("tools", body["tools"], _check_tool)


def _bad_role(where: str, role: Any) -> ApiError:
    if role is None:
        return missing(where)
    if not isinstance(role, str):
        return wrong_type(where, "a string", role)
    return invalid(where, f"must be one of {', '.join(sorted(_ROLES))}")


def _check_parts(where: str, content: Any) -> None:
    if not isinstance(content, list):
        raise wrong_type(where, "a string or an array of objects", content)
    for index, part in enumerate(content):
        if not isinstance(part, dict):
            raise wrong_type(f"{where}[{index}]", "an object", part)
        kind = part.get("type")
        if not isinstance(kind, str):
            raise (
                missing(f"{where}[{index}].type")
                if kind is None
                else wrong_type(f"{where}[{index}].type", "a string", kind)
            )
        if kind == "text" and not isinstance(part.get("text"), str):
            raise wrong_type(f"{where}[{index}].text", "a string", part.get("text"))


def _check_tool_calls(where: str, calls: Any) -> None:
    if not isinstance(calls, list):
        raise wrong_type(where, "an array of objects", calls)
    for index, call in enumerate(calls):
        if not isinstance(call, dict):
            raise wrong_type(f"{where}[{index}]", "an object", call)
        if not isinstance(call.get("id"), str):
            raise wrong_type(f"{where}[{index}].id", "a string", call.get("id"))
        function = call.get("function")
        if call.get("type", "function") == "function" and not (
            isinstance(function, dict)
            and isinstance(function.get("name"), str)
            and isinstance(function.get("arguments", ""), str)
        ):
            raise invalid(f"{where}[{index}].function", "must hold a name and its arguments as strings")


def _check_tool(where: str, tool: Mapping[str, Any]) -> None:
    function = tool.get("function")
    if tool.get("type") == "function" and not (
        isinstance(function, dict) and isinstance(function.get("name"), str)
    ):
        raise missing(f"{where}.function.name")


def check_completion(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` is a legacy completion request."""
    check_common(body)
    _check_input("prompt", body.get("prompt"))


def check_embedding(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` unless ``body`` is an embedding request."""
    check_common(body)
    _check_input("input", body.get("input"))
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise invalid("encoding_format", "must be 'float' or 'base64'")


def _check_input(name: str, value: Any) -> None:
    """A string, a list of strings, a list of tokens or a list of lists of tokens; nothing empty."""
    if value is None:
        raise missing(name)
    if isinstance(value, str):
        if not value and name == "input":
            raise invalid(name, "must not be empty")
        return
    if not isinstance(value, list):
        raise wrong_type(name, "a string or an array", value)
    if not 1 <= len(value) <= MAX_EMBEDDING_INPUTS:
        raise invalid(name, f"must hold 1 to {MAX_EMBEDDING_INPUTS} items")
    kind = type(value[0])
    if kind not in (str, int, list) or any(type(item) is not kind for item in value):
        raise invalid(name, "must be strings only, tokens only or lists of tokens only")
    if kind is list and not all(item and all(type(token) is int for token in item) for item in value):
        raise invalid(name, "must not hold an empty list or anything but tokens in it")
    if kind is str and name == "input" and not all(value):
        raise invalid(name, "must not hold an empty string")
