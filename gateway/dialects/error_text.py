"""Text of an upstream's error as a client may see it."""

from __future__ import annotations

import re

import orjson

_MAX_LENGTH = 500
_PRIVATE = re.compile(
    r"(?<!\w)(?:(?:sk|gsk|xai|fw|tgp)[-_][\w*.\u2026-]{4,}|AIza[\w*.\u2026-]{4,}|Bearer\s+[\w*.~+/=-]{8,}"
    r"|(?:https?://)?(?:localhost|(?:\d{1,3}\.){3}\d{1,3})(?::\d+)?(?:/\S*)?)",
    re.IGNORECASE,
)


def clean(text: object) -> str:
    """One line of at most 500 printable characters, nothing in it that looks like a key, masked or not,
    or like the address of an internal machine. A value that is no text becomes JSON, None nothing."""
    if text is None:
        return ""
    if not isinstance(text, str):
        text = orjson.dumps(text).decode()
    printable = "".join([letter if letter.isprintable() else " " for letter in text[: 4 * _MAX_LENGTH]])
    line = _PRIVATE.sub("[removed]", " ".join(printable.split()))
    return line if len(line) <= _MAX_LENGTH else f"{line[: _MAX_LENGTH - 1]}…"
