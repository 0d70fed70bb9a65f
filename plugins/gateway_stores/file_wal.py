"""A damaged write-ahead log of SQLite, found before SQLite opens it: SQLite ends it there without a word.

The format: https://sqlite.org/fileformat2.html#the_write_ahead_log"""

from __future__ import annotations

import logging
import shutil
import struct
import sys
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from gateway_stores.file_disk import aside, open_private
from gateway_stores.file_schema import PAGE_BYTES

log = logging.getLogger(__name__)

_HEADER = struct.Struct(">8I")
"""Magic number, version, bytes of a page, number of the checkpoint, two salts, two sums."""
_FRAME = struct.Struct(">6I")
"""Number of the page, pages of the database if this ends a transaction or else 0, two salts, two sums."""
_ORDERS = {0x377F0682: "<", 0x377F0683: ">"}
"""By the magic number: the order of bytes in the words that sums are of."""
_NATIVE = "<" if sys.byteorder == "little" else ">"

_Sums = tuple[int, int]


class _Frame(NamedTuple):
    sound: bool
    """It is of this log, and follows the frame before as that one says itself."""
    commits: bool


def keep_if_damaged(path: str) -> bool:
    """Whether transactions in the log of the database at ``path`` follow what is damaged in it, so that they
    are lost; a copy of the log is kept then. To be called before the first connection."""
    wal = f"{path}-wal"
    try:
        with open(wal, "rb") as file:
            lost = _transactions_after_damage(file)
    except FileNotFoundError:
        return False
    if lost:
        kept = aside(wal)
        with open(wal, "rb") as file, open(kept, "wb", opener=open_private) as copy:
            shutil.copyfileobj(file, copy)
        log.error(
            "the database's log was damaged: what was written after the damage is lost",
            extra={"path": wal, "copied_to": kept, "transactions": lost},
        )
    return lost > 0


def _transactions_after_damage(file: BinaryIO) -> int:
    damaged, lost = False, 0
    for frame in _frames(file):
        damaged = damaged or not frame.sound
        lost += damaged and frame.sound and frame.commits
    return lost


def _frames(file: BinaryIO) -> Iterator[_Frame]:
    """All that were ever written there; the last may be of an earlier log in the same file. Where the
    header is damaged it is told as a first frame, and what is in it taken from what it should be."""
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size:
        return
    magic, _, page_bytes, _, *salts, one, other = _HEADER.unpack(head)
    order = _ORDERS.get(magic, _NATIVE)
    sums = one, other
    if magic not in _ORDERS or _summed(order, (0, 0), head[:24]) != sums:
        page_bytes, order, salts = PAGE_BYTES, _NATIVE, []
        yield _Frame(False, False)
    while len(data := file.read(_FRAME.size + page_bytes)) == _FRAME.size + page_bytes:
        _, pages, *found, one, other = _FRAME.unpack_from(data)
        salts = salts or found
        expected = _summed(order, _summed(order, sums, data[:8]), data[_FRAME.size :])
        sums = one, other
        yield _Frame(found == salts and sums == expected, pages > 0)


def _summed(order: str, sums: _Sums, data: bytes) -> _Sums:
    one, other = sums
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for even, odd in zip(words, words, strict=True):
        one = (one + even + other) & 0xFFFFFFFF
        other = (other + odd + one) & 0xFFFFFFFF
    return one, other
