"""The audit log: one JSON line for each call of the admin API, each with the hash of the line before it."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from gateway.api.folders import append_whole, make_private_folder
from gateway.logs import encode

log = logging.getLogger(__name__)

FIRST = "0" * 64
"""Stands where the first line has no line before it."""
MOST_LINES = 10_000
"""Lines that one look at the newest entries goes through."""
_BLOCK = 64 * 1024

Wanted = Callable[[Mapping[str, Any]], bool]


class AuditLog:
    """Appends to one file, which several processes may share. Its methods may run in any thread."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._failure: str | None = None
        """Why the last line of this process could not be written."""
        self._left = 0, 0
        """The file as it was then."""
        self._lock = threading.Lock()

    def open(self) -> None:
        """Create the file and its directories. Raises `OSError` where they cannot be."""
        make_private_folder(Path(self.path).parent)
        os.close(self._open())

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write one line, whole or not at all, at the end of the chain as it is now. Raises `OSError`."""
        try:
            with self._lock:
                self._append(entry)
        except OSError as exc:
            self._failure, self._left = f"{exc.strerror or exc}: {self.path}", self._stamp()
            raise
        self._failure = None

    @property
    def trouble(self) -> str | None:
        """Why the last line could not be written; None if it could, or another process has written since."""
        if self._failure is None:
            return None
        (inode, size), (known, least) = self._stamp(), self._left
        return None if size > (least if inode == known else 0) else self._failure

    def newest(
        self, limit: int, before: int | None = None, wanted: Wanted | None = None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """The last ``limit`` entries that are ``wanted``, newest first, and what to give as ``before`` for
        the next ones; None if there are none. It goes through `MOST_LINES` at most, so there may be fewer.
        What cannot be read is left out. Raises `OSError`."""
        found: list[dict[str, Any]] = []
        try:
            with open(self.path, "rb") as file:
                for looked, (start, line) in enumerate(_backwards(file, before)):
                    if len(found) == limit or looked == MOST_LINES:
                        return found, start + len(line) + 1
                    entry = _parsed(line)
                    if entry is not None and (wanted is None or wanted(entry)):
                        found.append(entry)
        except FileNotFoundError:
            pass
        return found, None

    def _append(self, entry: Mapping[str, Any]) -> None:
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = os.fstat(file).st_size
            last, rest = _ending(file, size)
            begin = b""
            if _parsed(rest) is not None:
                last, begin = rest, b"\n"  # a whole line that only lacks its end
            elif rest:
                size -= len(rest)
                os.ftruncate(file, size)
                log.warning(
                    "cut off part of a line in the audit log", extra={"path": self.path, "bytes": len(rest)}
                )
            previous = FIRST if last is None else _digest(last)
            append_whole(file, size, begin + encode({**entry, "previous": previous}) + b"\n")
        finally:
            os.close(file)

    def _stamp(self) -> tuple[int, int]:
        """Inode and size of the file; zeros where there is none."""
        with suppress(OSError):
            found = os.stat(self.path)
            if stat.S_ISREG(found.st_mode):
                return found.st_ino, found.st_size
        return 0, 0

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check of the chain found."""

    lines: int
    """How many lines are sound, from the first on."""
    last: str
    """The hash of the last sound line: whoever noted it can tell later that none was cut off."""
    fault: str | None = None
    """What is wrong with the line after them; None if there is none."""


def verify(path: str) -> Verified:
    """Follow the chain from the first line. Raises `OSError`.

    A line that was changed, inserted or removed shows, as the hash that the next one holds is another then.
    Lines cut off at the end do not show, nor a file that was written anew from some line on.
    """
    previous, count = FIRST, 0
    with open(path, "rb") as file:
        for raw in file:
            fault = _fault(raw, previous)
            if fault is not None:
                return Verified(count, previous, fault)
            previous = _digest(raw[:-1])
            count += 1
    return Verified(count, previous)


def _fault(raw: bytes, previous: str) -> str | None:
    if not raw.endswith(b"\n"):
        return "is cut off"
    entry = _parsed(raw[:-1])
    if entry is None:
        return "is not a JSON object"
    if entry.get("previous") != previous:
        if previous == FIRST:
            return "is not the first of an audit log: it was changed, or lines before it were removed"
        return "does not follow the line before it: one of the two was changed, or lines between were removed"
    return None


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _ending(file: int, end: int) -> tuple[bytes | None, bytes]:
    """Of a file of ``end`` bytes the last line, None if there is none, and what stands behind it: nothing,
    but where somebody died in the middle of a line."""
    size, tail = 0, b""
    while size < end and tail.count(b"\n") < 2:
        size = min(end, size + _BLOCK)
        tail = os.pread(file, size, end - size)
    *lines, rest = tail.split(b"\n")
    return (lines[-1] if lines else None), rest


def _backwards(file: BinaryIO, before: int | None) -> Iterator[tuple[int, bytes]]:
    """The lines that end at ``before`` or earlier, last one first: where each begins, and its bytes."""
    place = file.seek(0, os.SEEK_END)
    if before is not None:
        place = min(place, before)
    rest = b""
    while place > 0:
        size = min(_BLOCK, place)
        place -= size
        file.seek(place)
        rest = file.read(size) + rest
        first, *lines = rest.split(b"\n")
        start = place + len(rest)
        for line in reversed(lines):
            start -= len(line)
            if line:
                yield start, line
            start -= 1
        rest = first
    if rest:
        yield 0, rest
