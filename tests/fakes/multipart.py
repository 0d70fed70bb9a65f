"""Multipart forms as a strict server reads them (RFC 7578): every byte accounted for, nothing repaired."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.fakes.openai_errors import error

_BOUNDARY = re.compile(r"multipart/form-data; boundary=([0-9A-Za-z'()+_,./:=?-]{1,70})")
_FIELD = re.compile(r'form-data; name="([^"]*)"(?:; filename="((?:[^"\\]|\\.)*)")?(?:; filename\*=\S+)?')


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its header lines as they came, and what they say."""

    name: str
    filename: str | None
    head: bytes
    content: bytes


def parts_of(content_type: str, body: bytes) -> list[Part]:
    """The parts of ``body``. Raises `Rejected` for anything but delimiters, parts and the closing line."""
    found = _BOUNDARY.fullmatch(content_type)
    if found is None:
        raise error(f"not a form with a boundary: {content_type}")
    opening, closing = f"--{found[1]}\r\n".encode(), f"\r\n--{found[1]}--\r\n".encode()
    if not body.startswith(opening) or not body.endswith(closing):
        raise error("the form has no proper beginning or end")
    inner = body[len(opening) : -len(closing)]
    return [_part(piece) for piece in inner.split(b"\r\n" + opening)]


def _part(piece: bytes) -> Part:
    head, blank, content = piece.partition(b"\r\n\r\n")
    if not blank:
        raise error("a part has no end of its headers")
    lines = [line.decode().partition(": ") for line in head.split(b"\r\n")]
    dispositions = [value for name, _, value in lines if name.lower() == "content-disposition"]
    field = _FIELD.fullmatch(dispositions[0]) if len(dispositions) == 1 else None
    if field is None:
        raise error("a part has no single Content-Disposition with a name")
    return Part(field[1], field[2], head, content)
