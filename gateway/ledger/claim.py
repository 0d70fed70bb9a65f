"""Whose segments are whose: a name for each process, held by a lock for as long as it lives."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

LOCK = ".lock"
SEGMENT = ".journal"


class Claim:
    """``NAME.lock`` is locked by the process whose records are in ``NAME.NUMBER.journal``. If it is not,
    that process has ended, and whoever locks it then may take what is there."""

    def __init__(self, folder: Path, name: str, fd: int) -> None:
        self.name = name
        self._folder = folder
        self._fd = fd
        self._number = 0

    @classmethod
    def make(cls, folder: Path) -> Self:
        """A claim of this process. Raises `OSError`."""
        while True:
            name = f"{os.getpid()}-{time.time_ns():x}-{secrets.token_hex(4)}"
            claim = cls.take(folder, name)
            if claim is not None:
                return claim

    @classmethod
    def take(cls, folder: Path, name: str) -> Self | None:
        """The claim of this name; None if a process that lives has it. Raises `OSError`."""
        path = folder / f"{name}{LOCK}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        claim = cls(folder, name, fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError:
            os.close(fd)
            raise
        if claim.holds():
            return claim
        os.close(fd)  # whoever had it has finished and removed it in the meantime
        return None

    def holds(self) -> bool:
        """Whether the lock is still where others look for it."""
        try:
            return os.path.samestat(os.stat(self._folder / f"{self.name}{LOCK}"), os.fstat(self._fd))
        except OSError:
            return False

    def next_path(self) -> Path:
        """Where a further segment goes."""
        self._number += 1
        return self._folder / f"{self.name}.{self._number:06}{SEGMENT}"

    def segments(self) -> list[Path]:
        """The segments under this name, oldest first."""
        return sorted(self._folder.glob(f"{self.name}.*{SEGMENT}"))

    def close(self) -> None:
        """Let go; the lock's file goes too unless there are segments left."""
        if not self.segments():
            with suppress(OSError):
                (self._folder / f"{self.name}{LOCK}").unlink()
        self.release()

    def release(self) -> None:
        """Let go, as the end of the process would."""
        os.close(self._fd)


def names(folder: Path) -> set[str]:
    """The names in ``folder``, of processes that live and of others. Raises `OSError`."""
    return {name_of(path) for path in folder.iterdir() if path.suffix in (LOCK, SEGMENT)}


def name_of(path: Path) -> str:
    """The name that a lock or a segment is under."""
    return path.name.partition(".")[0]
