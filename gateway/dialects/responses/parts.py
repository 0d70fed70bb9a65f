"""Pieces of content: those of the Responses API as those of a chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import Unsupported
from gateway.dialects.losses import lost
from gateway.dialects.messages.checks import expect

Part = dict[str, Any]

_TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
"""Kinds of part that are text, and the field it is in."""
_MARKS = ("prompt_cache_breakpoint", "cache_control")
"""What tells that the prompt is to be cached up to a part: it means the same in a chat."""
_KNOWN = frozenset({"type", "text", "refusal", "image_url", "detail", "file_id", "file_data", "file_url"}) | {
    "filename",
    "input_audio",
    "logprobs",
    *_MARKS,
}
_SAID = frozenset({"type", "text", "refusal", "logprobs"})
"""Of a part of an assistant message, which becomes one text with the others."""


def chat_content(content: object, dropped: dict[str, None]) -> str | list[Part]:
    """The ``content`` of a user's or system message, or the ``output`` of a function call: a string or a list
    of parts. One text alone becomes a string, which every server takes. ``dropped`` is added to. Raises
    `Unsupported`."""
    if isinstance(content, str):
        return content
    parts = [_marked(expect(part, dict, "input"), dropped) for part in expect(content, list, "input")]
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        text: str = parts[0]["text"]
        return text
    return parts


def said(content: object, dropped: dict[str, None]) -> tuple[str, str]:
    """What an assistant message says: its text, and its refusal. ``dropped`` is added to. Raises
    `Unsupported`."""
    if isinstance(content, str):
        return content, ""
    texts: list[str] = []
    refusals: list[str] = []
    for item in expect(content, list, "input"):
        part = expect(item, dict, "input")
        dropped.update(dict.fromkeys(lost(part, _SAID, "input")))
        text = _text(part)
        if text is None:
            raise Unsupported("input", "an assistant message holds texts and refusals only")
        (refusals if part["type"] == "refusal" else texts).append(text)
    return "".join(texts), "".join(refusals)


def _text(part: Mapping[str, Any]) -> str | None:
    """The text of a part, None if it is of another kind."""
    kind = part.get("type")
    field = _TEXTS.get(kind) if isinstance(kind, str) else None
    return None if field is None else expect(part.get(field), str, "input")


def _marked(part: Mapping[str, Any], dropped: dict[str, None]) -> Part:
    dropped.update(dict.fromkeys(lost(part, _KNOWN, "input")))
    made = _part(part)
    made.update({name: part[name] for name in _MARKS if part.get(name) is not None})
    return made


def _part(part: Mapping[str, Any]) -> Part:
    text = _text(part)
    if text is not None:
        return {"type": "text", "text": text}
    kind = part.get("type")
    if kind == "input_image":
        return _image(part)
    if kind == "input_file":
        return _file(part)
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": expect(part.get("input_audio"), dict, "input")}
    raise Unsupported("input", "only texts, images, files and audio are translated")


def _image(part: Mapping[str, Any]) -> Part:
    if part.get("file_id") is not None:
        raise Unsupported(
            "input", "an image must be an address or a data URL: file ids belong to one provider"
        )
    image = {"url": expect(part.get("image_url"), str, "input")}
    if part.get("detail") is not None:
        image["detail"] = part["detail"]
    return {"type": "image_url", "image_url": image}


def _file(part: Mapping[str, Any]) -> Part:
    """A file with its data, or its address in place of them, which is how the translations take it."""
    if part.get("file_id") is not None:
        raise Unsupported("input", "a file must come with its data: file ids belong to one provider")
    file = {"file_data": expect(part.get("file_data") or part.get("file_url"), str, "input")}
    if part.get("filename") is not None:
        file["filename"] = part["filename"]
    return {"type": "file", "file": file}
