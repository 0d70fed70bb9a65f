"""An upstream's own words as a client may see them."""

from __future__ import annotations

import re

import orjson

_MAX_MESSAGE = 500
_PRIVATE = re.compile(
    r"(?<!\w)(?:(?:sk|gsk|xai|fw|tgp)[-_][\w*.\u2026-]{4,}|AIza[\w-]{4,}|Bearer\s+[\w*.~+/=-]{8,}"
    r"|(?:https?://)?(?:localhost|(?:\d{1,3}\.){3}\d{1,3})(?::\d+)?(?:/\S*)?)",
    re.IGNORECASE,
)


def clean(text: object) -> str:
    """Text of an upstream as a client may see it: one line, at most 500 characters, nothing in it that
    looks like a key or an internal address. Values that are no text become JSON; None becomes nothing."""
    if text is None:
        return ""
    if not isinstance(text, str):
        text = orjson.dumps(text).decode()
    line = " ".join(text[: 4 * _MAX_MESSAGE].split())
    text = _PRIVATE.sub("[removed]", "".join([letter for letter in line if letter.isprintable()]))
    return text if len(text) <= _MAX_MESSAGE else f"{text[: _MAX_MESSAGE - 1]}…"
