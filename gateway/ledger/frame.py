"""A usage record as bytes on disk, and what is left of such bytes after a crash or worse.

A frame is the payload's length and its CRC-32 (zlib's), each as four bytes, little-endian, and the payload:
one JSON object that begins with its ``time``. Nothing inside a payload can be mistaken for a frame: JSON has
no zero bytes, and a length has at least one.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict
from typing import NamedTuple
from zlib import crc32

from gateway.api import Record

HEADER = struct.Struct("<II")
_BEGINNING = b'{"time":'


class Piece(NamedTuple):
    """A stretch of a segment: a whole frame, or bytes that belong to none."""

    start: int
    end: int
    payload: bytes | None
    """None: damaged."""


def encode(record: Record) -> bytes:
    """The payload of ``record``, whatever is in it."""
    try:
        return record.encoded()
    except TypeError:
        return json.dumps(asdict(record), separators=(",", ":")).encode()


def decode(payload: bytes) -> Record:
    """The record that `encode` gave this payload for. Raises `ValueError` or `TypeError` for any other."""
    values = json.loads(payload)  # orjson would make floats of the largest integers
    try:
        return Record.from_json(values)
    except KeyError as error:
        raise TypeError(f"has no {error}") from error


def frame(payload: bytes) -> bytes:
    """The bytes that are written for ``payload``."""
    return HEADER.pack(len(payload), crc32(payload)) + payload


def pieces(data: bytes) -> Iterator[Piece]:
    """All of ``data`` in order; after damage it goes on at the next whole frame."""
    at = 0
    while at < len(data):
        payload = _payload_at(data, at)
        end = _next_frame(data, at + 1) if payload is None else at + HEADER.size + len(payload)
        yield Piece(at, end, payload)
        at = end


def is_torn(rest: bytes) -> bool:
    """Whether damaged bytes at the end are what a write leaves that did not get through."""
    return len(rest) < HEADER.size or HEADER.unpack_from(rest)[0] > len(rest) - HEADER.size


def _payload_at(data: bytes, at: int) -> bytes | None:
    begin = at + HEADER.size
    if not data.startswith(_BEGINNING, begin):
        return None
    length, checksum = HEADER.unpack_from(data, at)
    payload = data[begin : begin + length]
    return payload if len(payload) == length and crc32(payload) == checksum else None


def _next_frame(data: bytes, at: int) -> int:
    begin = data.find(_BEGINNING, at + HEADER.size)
    while begin >= 0:
        if _payload_at(data, begin - HEADER.size) is not None:
            return begin - HEADER.size
        begin = data.find(_BEGINNING, begin + 1)
    return len(data)
