"""Pieces of content: OpenAI's parts as Anthropic's blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import Unsupported
from gateway.dialects.losses import lost
from gateway.dialects.messages.checks import expect

Block = dict[str, Any]

_KNOWN = frozenset(
    {"type", "text", "refusal", "image_url", "file", "cache_control", "prompt_cache_breakpoint"}
)
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_ALSO = {"image/jpg": "image/jpeg"}
"""A common name of a type that is none."""
# What a file begins with, in base64: clients often name the wrong media type, and Anthropic refuses that.
_MAGIC = {
    "/9j/": "image/jpeg",
    "iVBORw0KGgo": "image/png",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "JVBERi0": "application/pdf",
}


class Marks:
    """The blocks that end a prefix worth caching, in the order of the prompt; only four may be named."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []

    def copy(self, source: Mapping[str, Any], block: Block) -> None:
        """Give ``block`` the cache marker of the part, message or tool that it stands for, if any."""
        if (control := source.get("cache_control")) is None:
            point = source.get("prompt_cache_breakpoint")
            if point is None:
                return
            lasting = (
                isinstance(point, dict) and point.get("ttl") is not None
            )  # 30m or 12h; the default is 5m
            control = {"type": "ephemeral", "ttl": "1h"} if lasting else {"type": "ephemeral"}
        if "cache_control" not in block:
            self._blocks.append(block)
        block["cache_control"] = control

    def thin(self, most: int) -> bool:
        """Keep the last ``most`` markers, which name the longest prefixes; tell whether any went."""
        surplus = self._blocks[: max(len(self._blocks) - most, 0)]
        for block in surplus:
            del block["cache_control"]
        return bool(surplus)


def text_block(text: str) -> Block:
    return {"type": "text", "text": text}


def blocks(content: object, marks: Marks, dropped: dict[str, None]) -> list[Block]:
    """The blocks of a message's ``content``: a string or a list of parts. Blank texts are left out, for
    Anthropic refuses them. Raises `Unsupported` for a part that has no equivalent."""
    if isinstance(content, str):
        return [text_block(content)] if content.strip() else []
    found: list[Block] = []
    for part in expect(content, list, "messages"):
        block = _block(expect(part, dict, "messages"), dropped)
        if block is not None:
            marks.copy(part, block)
            found.append(block)
    return found


def _block(part: Mapping[str, Any], dropped: dict[str, None]) -> Block | None:
    dropped.update(dict.fromkeys(lost(part, _KNOWN, "messages")))
    kind = part.get("type")
    if kind == "text" or kind == "refusal":
        text = expect(part.get(kind), str, "messages")
        return text_block(text) if text.strip() else None
    if kind == "image_url":
        image = part.get("image_url")
        if isinstance(image, dict):
            if image.get("detail", "auto") != "auto":
                dropped["detail"] = None
            image = image.get("url")
        return _source(expect(image, str, "messages"), "image")
    if kind == "file":
        return _file(expect(part.get("file"), dict, "messages"))
    raise Unsupported("messages", "Anthropic takes texts, images and PDF files only")


def _file(file: Mapping[str, Any]) -> Block:
    data = file.get("file_data")
    if not isinstance(data, str):
        raise Unsupported("messages", "a file must come with its data: ids belong to one provider")
    if data.startswith("JVBERi0"):  # a PDF without the data URL around it
        data = f"data:application/pdf;base64,{data}"
    block = _source(data, "document")
    name = file.get("filename")
    if block["type"] == "document" and isinstance(name, str) and name:
        block["title"] = name
    return block


def _source(url: str, kind: str) -> Block:
    """An ``image`` or ``document`` block for a data URL, or for an address that Anthropic fetches from."""
    scheme = url[:8].lower()
    if scheme.startswith(("http://", "https://")):
        return {"type": kind, "source": {"type": "url", "url": url}}
    head, comma, data = url.partition(",")
    if not comma or not scheme.startswith("data:") or not head.endswith(";base64"):
        raise Unsupported("messages", "an image or file must be an http(s) address or a base64 data URL")
    media = next(
        (known for magic, known in _MAGIC.items() if data.startswith(magic)),
        head[5:].partition(";")[0].lower(),
    )
    media = _ALSO.get(media, media)
    if media != "application/pdf" and media not in _IMAGES:
        raise Unsupported("messages", "Anthropic takes JPEG, PNG, GIF and WebP images and PDF files only")
    kind = "document" if media == "application/pdf" else "image"
    return {"type": kind, "source": {"type": "base64", "media_type": media, "data": data}}
