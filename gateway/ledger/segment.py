"""A segment: records in the order they came, in a file or, where that fails, in memory alone."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from gateway.api import Record
from gateway.ledger.frame import HEADER, Piece, frame, is_torn, pieces

Entry = tuple[Record | None, bytes]
"""A record and its payload; None if the payload was not decoded yet."""


class Batch(NamedTuple):
    """The next entries of a segment, and where it stands once the store has them."""

    entries: Sequence[Entry]
    end: int


class Damage(NamedTuple):
    """Bytes of a segment that are no record."""

    data: bytes
    torn: bool
    """The end of a write that did not get through."""


class Stretch(NamedTuple):
    """What a stretch of a file holds."""

    frames: deque[Piece]
    damaged: list[Damage]


class Segment:
    """What was written, and what of it the store has. Entries that it has not are kept in memory as well,
    unless there are too many (see `recent`): then they are read when their turn comes."""

    __slots__ = (
        "_loaded",
        "_unread",
        "began",
        "damaged",
        "dirty",
        "doubtful",
        "fd",
        "moved",
        "path",
        "pending",
        "recent",
        "size",
    )

    def __init__(self, path: Path | None = None) -> None:
        """``path``: None for a segment in memory."""
        self.path = path
        self.fd = -1
        """Open while this process writes to it."""
        self.size = 0
        """Bytes of whole frames in the file."""
        self.moved = 0
        """How many of them the store has, or are of no use."""
        self.pending = 0
        """Records that the store does not have yet."""
        self.recent: deque[Entry] | None = deque()
        """The pending entries; None if they have to be read."""
        self.dirty = False
        """The disk may not have all of it yet."""
        self.began = time.time()
        """Seconds since the epoch."""
        self.doubtful = False
        """The disk said that it may not have what was written."""
        self.damaged: list[Damage] = []
        """What could not be read, until somebody takes it."""
        self._unread: deque[Piece] = deque()
        self._loaded = 0
        """Where in the file what was read ends."""

    @classmethod
    def create(cls, path: Path) -> Segment:
        """A new file, to be written by this process. Raises `OSError`."""
        segment = cls(path)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        segment.fd = os.open(path, flags, 0o600)
        return segment

    @classmethod
    def found(cls, path: Path) -> Segment:
        """One that a process left behind; all of it is still to be moved. Raises `OSError`."""
        segment = cls(path)
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):  # to open a pipe, say, would be to wait for ever
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        segment.began = status.st_mtime
        data = _read(path, 0)
        segment.size = len(data)
        segment.pending = sum(piece.payload is not None for piece in pieces(data))
        segment.recent = None
        return segment

    def write(self, payload: bytes) -> None:
        """One frame, whole or, with an `OSError`, not at all."""
        data = frame(payload)
        written = os.write(self.fd, data)
        if written != len(data):
            os.ftruncate(self.fd, self.size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self.size += written
        self.dirty = True

    @property
    def left(self) -> bool:
        """Whether there is anything that was not moved yet, be it only damage."""
        return self.pending > 0 or self.moved < self.size

    def oldest(self) -> float:
        """About when the oldest of the pending records was written, in seconds since the epoch."""
        record = self.recent[0][0] if self.recent else None
        return self.began if record is None else record.time + record.total_ms / 1000

    async def load(self) -> None:
        """Read in a thread what `take` would have to read: that may be megabytes. Raises `OSError`."""
        if self._has_to_read:
            assert self.path is not None
            end = self.size
            stretch = await asyncio.to_thread(_stretch, self.path, self.moved, end)
            if self._has_to_read:  # still
                self._keep(stretch, end)

    def take(self, limit: int) -> Batch:
        """The next entries; the same ones until they are acknowledged. Raises `OSError`."""
        if self.recent is not None:
            entries = list(islice(self.recent, limit))
            return Batch(entries, self.moved + sum(HEADER.size + len(data) for _, data in entries))
        if self._has_to_read:
            assert self.path is not None
            self._keep(_stretch(self.path, self.moved, self.size), self.size)
        chosen = list(islice(self._unread, limit))
        end = self._loaded if len(chosen) == len(self._unread) else chosen[-1].end
        return Batch([(None, piece.payload) for piece in chosen if piece.payload is not None], end)

    def acknowledge(self, batch: Batch) -> None:
        """The store has these."""
        count = len(batch.entries)
        self.moved = batch.end
        self.pending -= count
        if self.recent is not None:
            for _ in range(count):
                self.recent.popleft()
            return
        while self._unread and self._unread[0].end <= batch.end:
            self._unread.popleft()
        if self.moved >= self.size:
            self.pending, self.recent = 0, deque()

    def empty(self) -> None:
        """Begin again, once all is moved. Raises `OSError`."""
        os.ftruncate(self.fd, 0)
        self.size = self.moved = 0

    def close(self) -> None:
        """Write no more."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def delete(self) -> None:
        """Close and remove the file, if there is one."""
        self.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    @property
    def _has_to_read(self) -> bool:
        return self.recent is None and not self._unread

    def _keep(self, stretch: Stretch, end: int) -> None:
        """Know what is in the file up to ``end``."""
        self._unread, self._loaded = stretch.frames, end
        self.damaged += stretch.damaged


def _stretch(path: Path, start: int, end: int) -> Stretch:
    """What is in the file from ``start`` to ``end``. Raises `OSError`."""
    data = _read(path, start)[: end - start]
    stretch = Stretch(deque(), [])
    for piece in pieces(data):
        if piece.payload is None:
            rest = data[piece.start : piece.end]
            stretch.damaged.append(Damage(rest, piece.end == len(data) and is_torn(rest)))
        else:
            stretch.frames.append(Piece(piece.start + start, piece.end + start, piece.payload))
    return stretch


def _read(path: Path, offset: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with open(fd, "rb") as file:
        file.seek(offset)
        return file.read()
