"""Embeddings as base64 (little-endian float32), and answers brought to the encoding the client asked for."""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any


def pack_base64(values: Iterable[float]) -> str:
    """The vector as OpenAI encodes it. Raises `TypeError` for what is no number."""
    return b64encode(_little_endian(array("f", values)).tobytes()).decode()


def unpack_base64(text: str) -> list[float]:
    """The vector in ``text``. Raises `ValueError` if it is no base64 of whole float32 values."""
    vector = array("f")
    vector.frombytes(b64decode(text, validate=True))
    return _little_endian(vector).tolist()


def match_encoding(answer: dict[str, Any], encoding: str) -> bool:
    """Bring the vectors of an embeddings answer to ``encoding`` (``float`` or ``base64``) in place; say
    whether any had to be changed. Raises `TypeError`, `KeyError` or `ValueError` if one is no vector."""
    changed = False
    for item in answer["data"]:
        vector = item["embedding"]
        if encoding == "base64" and not isinstance(vector, str):
            item["embedding"] = pack_base64(vector)
            changed = True
        elif encoding != "base64" and isinstance(vector, str):
            item["embedding"] = unpack_base64(vector)
            changed = True
    return changed


def _little_endian(vector: array[float]) -> array[float]:
    if sys.byteorder == "big":
        vector.byteswap()
    return vector
