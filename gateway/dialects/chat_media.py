"""Images, audio and files in a translated chat, where servers of OpenAI's dialect take them: from users only,
and files with their data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.api import Unsupported

Json = dict[str, Any]

_NOT_TEXT = "(The output is not text; it follows.)"


def for_openai(messages: list[Json]) -> list[Json]:
    """The messages with what tools showed in a user's message after their outputs. The same list if every
    message is text. Raises `Unsupported` for a file that is given by its address."""
    if not any(isinstance(message.get("content"), list) for message in messages):
        return messages
    found: list[Json] = []
    shown: list[Json] = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            _check_files(content)
        if message["role"] == "tool":
            if isinstance(content, list) and any(part["type"] != "text" for part in content):
                text, parts = output(content, message["tool_call_id"])
                message = {**message, "content": text}
                shown += parts
        elif shown:
            message = _add(found, message, shown)
            shown = []
        found.append(message)
    return [*found, {"role": "user", "content": shown}] if shown else found


def output(parts: Sequence[Json], ident: str) -> tuple[str, list[Json]]:
    """What a tool's output says as text, and the parts by which a user's message shows the rest of it."""
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    rest = [part for part in parts if part["type"] != "text"]
    if not rest:
        return text, []
    return text or _NOT_TEXT, [{"type": "text", "text": f"Output of the tool call {ident}:"}, *rest]


def _add(found: list[Json], following: Json, shown: list[Json]) -> Json:
    """Put ``shown`` before what comes next: into it if it is a user's."""
    if following["role"] != "user":
        found.append({"role": "user", "content": shown})
        return following
    content = following["content"]
    said = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {**following, "content": [*shown, *said]}


def _check_files(content: Sequence[Json]) -> None:
    for part in content:
        data = part["file"]["file_data"] if part["type"] == "file" else ""
        if "://" in data[:16] and not data.startswith("data:"):
            raise Unsupported("messages", "OpenAI takes a file with its data, not by its address")
