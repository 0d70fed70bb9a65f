"""JSON with integers of any length, which orjson reads as floats and does not write."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from gateway.dialects import lenient

_LONG = re.compile(rb"\d{19}")


def loads(data: bytes) -> Any:
    """As `lenient.loads`. What holds a long integer is to be written by `dumps`."""
    return lenient.loads(data) if _LONG.search(data) is None else lenient.read(data)


def dumps(value: object) -> str:
    """Raises `ValueError` for what is nested too deeply."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        pass
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
