"""Log lines in a file that rotates by size."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.api.folders import append_whole, make_private_folder

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass
class JsonLines:
    """Appends to ``path``; several processes may share one. A line is in the file whole or not at all.

    Whoever moves or removes the file (logrotate) finds the next batch in a new one.
    """

    path: str
    """Its missing directories are created. Must not be a symbolic link."""
    max_size_mb: float = 100
    """Megabytes (10⁶ bytes) after which the file becomes ``path.1``."""
    max_backups: int = 5
    """How many of ``path.1`` … are kept."""

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path: must not be empty")
        if self.max_size_mb <= 0:
            raise ValueError(f"max_size_mb: must be above 0 (got {self.max_size_mb})")
        if self.max_backups < 0:
            raise ValueError(f"max_backups: must not be negative (got {self.max_backups})")
        self._max_bytes = int(self.max_size_mb * 1_000_000)
        self._fd: int | None = None
        self._file = (0, 0)
        """Device and number of the file that is open."""
        self._end = 0
        """Its size after our last write."""
        self._thread_lock = threading.Lock()  # a write given up by its task may still be going on

    async def open(self) -> None:
        """Raises `OSError` if the path cannot be written."""
        await asyncio.to_thread(self._begin)

    async def write(self, lines: Sequence[bytes]) -> None:
        """Raises `OSError` if the disk is full, the path cannot be written, …"""
        if lines:
            await asyncio.to_thread(self._append, lines)

    async def close(self) -> None:
        await asyncio.to_thread(self._finish)

    def _begin(self) -> None:
        with self._thread_lock, self._locked():
            pass

    def _append(self, lines: Sequence[bytes]) -> None:
        rest = [line + b"\n" for line in lines]
        with self._thread_lock:
            while rest:
                with self._locked() as (fd, size):
                    fitting = _fitting(rest, self._max_bytes - size)
                    if not fitting and size:
                        self._rotate()
                        continue
                    fitting = fitting or 1  # a line larger than a whole file gets one of its own
                    data = b"".join(rest[:fitting])
                    if size not in (0, self._end) and os.pread(fd, 1, size - 1) != b"\n":
                        # someone died in the middle of a line: it stays the only broken one
                        data = b"\n" + data
                    append_whole(fd, size, data)
                    self._end = size + len(data)
                    del rest[:fitting]

    @contextmanager
    def _locked(self) -> Iterator[tuple[int, int]]:
        """The file that now has our name, locked against other processes' writing and rotating, and its size.

        Each system call here and in `_append` lets the event loop's thread go on, and waits for it then."""
        while True:
            if self._fd is None:
                self._fd, self._file = _open(self.path)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            found = _look(self.path)
            if found is not None and (found.st_dev, found.st_ino) == self._file:
                break
            self._close()
        try:
            yield self._fd, found.st_size
        finally:
            if self._fd is not None:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _rotate(self) -> None:
        """Rename from the oldest on, so that each name is free, or to be forgotten, when it is taken."""
        for number in range(self.max_backups, 1, -1):
            with suppress(FileNotFoundError):
                os.rename(f"{self.path}.{number - 1}", f"{self.path}.{number}")
        if self.max_backups:
            os.rename(self.path, f"{self.path}.1")
        else:
            os.unlink(self.path)

    def _finish(self) -> None:
        with self._thread_lock:
            self._close()

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd, self._end = None, 0


def _fitting(lines: Sequence[bytes], room: int) -> int:
    """How many of the first lines go into ``room`` bytes."""
    for count, line in enumerate(lines):
        room -= len(line)
        if room < 0:
            return count
    return len(lines)


def _open(path: str) -> tuple[int, tuple[int, int]]:
    with suppress(NotADirectoryError):  # as opening the file says, with its name
        make_private_folder(Path(path).parent)
    fd = os.open(path, _FLAGS, 0o600)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return fd, (found.st_dev, found.st_ino)


def _look(path: str) -> os.stat_result | None:
    try:
        return os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None
