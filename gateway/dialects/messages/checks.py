"""What a request must look like for its translation to go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from gateway.api import Unsupported

T = TypeVar("T")
_NAMES: Mapping[type[Any], str] = {dict: "an object", list: "an array", str: "a string", int: "an integer"}


def expect(value: object, kind: type[T], param: str) -> T:
    """``value``, which is of ``kind`` (a JSON type). Raises `Unsupported` naming ``param`` if it is not."""
    if isinstance(value, kind):
        return value
    raise Unsupported(param, f"{_NAMES[kind]} is needed where something else stands")
