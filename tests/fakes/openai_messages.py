"""What OpenAI accepts as the messages of a chat: roles, parts, tool calls and their answers."""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.openai_errors import error, known, missing, name_rule, one_of, wrong_type
from tests.fakes.upstream import Json

_MESSAGE_FIELDS = {
    "developer": {"role", "content", "name"},
    "system": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {
        "role",
        "content",
        "name",
        "refusal",
        "audio",
        "tool_calls",
        "function_call",
        "annotations",
    },
    "tool": {"role", "content", "tool_call_id", "name"},
    "function": {"role", "content", "name"},
}
_PARTS = {
    "text": {"type", "text", "prompt_cache_breakpoint"},
    "image_url": {"type", "image_url", "prompt_cache_breakpoint"},
    "input_audio": {"type", "input_audio", "prompt_cache_breakpoint"},
    "file": {"type", "file", "prompt_cache_breakpoint"},
    "refusal": {"type", "refusal"},
}
_ROLE_PARTS = {"user": ("text", "image_url", "input_audio", "file"), "assistant": ("text", "refusal")}
_INSTEAD_OF_CONTENT = ("tool_calls", "function_call", "audio", "refusal")
_IMAGE = re.compile(r"https?://|data:image/(png|jpeg|jpg|gif|webp);base64,")


def check_message(message: Any, path: str) -> None:
    """Raise `Rejected` unless ``message``, at ``path``, is a message."""
    if not isinstance(message, dict):
        raise wrong_type(path, "an object", message)
    if "role" not in message:
        raise missing(f"{path}.role")
    role = message["role"]
    one_of(f"{path}.role", role, _MESSAGE_FIELDS)
    known(message, _MESSAGE_FIELDS[role], path)
    content = message.get("content")
    if content is None:
        if role != "assistant" or not any(message.get(name) for name in _INSTEAD_OF_CONTENT):
            raise wrong_type(f"{path}.content", "one of a string or array of objects", None)
    elif isinstance(content, list):
        for index, part in enumerate(content):
            _part(part, role, f"{path}.content[{index}]")
    elif not isinstance(content, str):
        raise wrong_type(f"{path}.content", "one of a string or array of objects", content)
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise missing(f"{path}.tool_call_id")
    for index, call in enumerate(message.get("tool_calls") or ()):
        _call(call, f"{path}.tool_calls[{index}]")


def _part(part: Any, role: str, path: str) -> None:
    if not isinstance(part, dict):
        raise wrong_type(path, "an object", part)
    one_of(f"{path}.type", part.get("type"), _ROLE_PARTS.get(role, ("text",)))
    kind = part["type"]
    known(part, _PARTS[kind], path)
    if kind not in part:
        raise missing(f"{path}.{kind}")
    if kind == "image_url":
        known(part["image_url"], {"url", "detail"}, f"{path}.image_url")
        if not _IMAGE.match(part["image_url"].get("url", "")):
            rule = "expected a valid URL or a base64-encoded data URL with an image MIME type."
            raise error(f"Invalid 'image_url': {rule}", "invalid_image_url", f"{path}.image_url.url")
    if kind == "input_audio":
        known(part["input_audio"], {"data", "format"}, f"{path}.input_audio")
        one_of(f"{path}.input_audio.format", part["input_audio"].get("format"), ("wav", "mp3"))


def _call(call: Json, path: str) -> None:
    known(call, {"id", "type", "function", "custom"}, path)
    one_of(f"{path}.type", call.get("type"), ("function", "custom"))
    length = len(call.get("id") or "")
    if not 1 <= length <= 40:
        rule = f"Expected a string with maximum length 40, but got a string with length {length} instead."
        raise error(f"Invalid '{path}.id': string too long. {rule}", "string_above_max_length", f"{path}.id")
    if call["type"] == "function":
        function = call.get("function") or {}
        known(function, {"name", "arguments"}, f"{path}.function")
        name_rule(function.get("name"), f"{path}.function.name")
        if not isinstance(function.get("arguments"), str):
            raise wrong_type(f"{path}.function.arguments", "a string", function.get("arguments"))


def check_tool_turns(messages: list[Json]) -> None:
    """Raise `Rejected` unless each tool call is answered right after it, and nothing else is."""
    waiting: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                rule = "must be a response to a preceeding message with 'tool_calls'."
                text = f"Invalid parameter: messages with role 'tool' {rule}"
                raise error(text, None, f"messages.[{index}].role")
            waiting.remove(message["tool_call_id"])
            continue
        _answered(waiting, index)
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    _answered(waiting, len(messages))


def _answered(waiting: list[str], index: int) -> None:
    if waiting:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: "
            + ", ".join(waiting)
        )
        raise error(text, None, f"messages.[{index}].role")
