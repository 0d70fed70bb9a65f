"""Pieces of content: Anthropic's blocks as OpenAI's parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.api import Unsupported
from gateway.dialects.losses import lost
from gateway.dialects.messages.checks import expect

Part = dict[str, Any]

_UNHEARD = frozenset({"cache_control", "citations"})
"""What a block may bear that no part can: named as dropped."""
_KNOWN = _UNHEARD | {
    *("type", "text", "source", "title", "context", "content"),
    *("id", "name", "input", "caller", "tool_use_id", "is_error"),
}
"""All that a block may consist of."""
_NAMELESS = "document.pdf"


def text_part(text: str) -> Part:
    return {"type": "text", "text": text}


def parts(content: object, dropped: dict[str, None]) -> list[Part]:
    """The parts of ``content``, a text or a list of blocks. Empty texts are left out. ``dropped`` is added
    to. Raises `Unsupported` for a block that has no equivalent."""
    if isinstance(content, str):
        return [text_part(content)] if content else []
    return [
        part
        for block in expect(content, list, "messages")
        for part in _parts(expect(block, dict, "messages"), dropped)
    ]


def plain(found: list[Part]) -> str | list[Part]:
    """One text as itself: the form that everybody understands."""
    return found[0]["text"] if len(found) == 1 and found[0]["type"] == "text" else found


def joined(found: Iterable[Part], between: str = "") -> str:
    """All texts in one, for places where nothing but text can stand."""
    return between.join(part["text"] for part in found if part["type"] == "text")


def note_unheard(block: Mapping[str, Any], dropped: dict[str, None]) -> None:
    """Name what ``block`` bears beside its content."""
    for name in _UNHEARD & block.keys():
        if block[name]:
            dropped[name] = None
    dropped.update(dict.fromkeys(lost(block, _KNOWN, "messages")))


def _parts(block: Mapping[str, Any], dropped: dict[str, None]) -> list[Part]:
    kind = block.get("type")
    note_unheard(block, dropped)
    if kind == "text":
        text = expect(block.get("text"), str, "messages")
        return [text_part(text)] if text else []
    if kind == "image":
        return [{"type": "image_url", "image_url": {"url": _image(_source(block))}}]
    if kind == "document":
        return _document(block, dropped)
    if kind == "search_result":
        found = joined(parts(block.get("content") or "", dropped), "\n")
        return _titled(block, [text_part(found)] if found else [], "title", "source")
    raise Unsupported("messages", f"only Anthropic knows blocks of type {str(kind)[:40]!r}")


def _source(block: Mapping[str, Any]) -> Mapping[str, Any]:
    return expect(block.get("source"), dict, "messages")


def _image(source: Mapping[str, Any]) -> str:
    """As a data URL, or the address of one that everybody can fetch."""
    if source.get("type") == "url":
        return expect(source.get("url"), str, "messages")
    return _data_url(source)


def _data_url(source: Mapping[str, Any]) -> str:
    if source.get("type") != "base64":
        raise Unsupported("messages", "files that were uploaded to Anthropic are not known elsewhere")
    media = expect(source.get("media_type"), str, "messages")
    return f"data:{media};base64,{expect(source.get('data'), str, 'messages')}"


def _document(block: Mapping[str, Any], dropped: dict[str, None]) -> list[Part]:
    source = _source(block)
    kind = source.get("type")
    if kind == "text":
        return _titled(block, [text_part(expect(source.get("data"), str, "messages"))], "title", "context")
    if kind == "content":
        return _titled(block, parts(source.get("content") or "", dropped), "title", "context")
    if kind == "url":
        raise Unsupported("messages", "a document must come with its data, not by its address")
    title = block.get("title")
    name = title if isinstance(title, str) and title else _NAMELESS
    file = {"type": "file", "file": {"filename": name, "file_data": _data_url(source)}}
    return _titled(block, [file], "context")


def _titled(block: Mapping[str, Any], found: list[Part], *names: str) -> list[Part]:
    """What is said about the content first, as text."""
    said = [value for name in names if isinstance(value := block.get(name), str) and value]
    return [*map(text_part, said), *found]
