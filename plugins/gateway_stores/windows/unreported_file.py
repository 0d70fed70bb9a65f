"""A file for what a process used and could not report to its store, and the files that others left."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import orjson

from gateway.api.folders import make_private_folder
from gateway_stores.file_disk import aside, open_private
from gateway_stores.file_lock import FileLock

log = logging.getLogger(__name__)


class Usage(NamedTuple):
    """Part of a window."""

    subject: str
    kind: str
    at: float
    """When the newest of it was used (monotonic seconds)."""
    amount: int


class UnreportedFile:
    """The file of this process, and those of others. A process holds a lock on its own as long as it lives:
    whoever gets the lock is the heir."""

    def __init__(self, folder: Path, holder: str, clock: Callable[[], float]) -> None:
        """``clock``: monotonic seconds. The files have the wall clock's."""
        self._folder = folder
        self._path = folder / f"unreported-{holder}.json"
        self._clock = clock
        self._lock: FileLock | None = None
        self._inherited: list[tuple[Path, FileLock]] = []
        self._fails = False

    def find(self) -> tuple[list[Usage], list[Usage]]:
        """What processes that have ended left, to be reported by this one; and what living ones still have
        to report. Call `keep` with the former, or it is found again."""
        inherited: list[Usage] = []
        of_others: list[Usage] = []
        for path in sorted(self._folder.glob("unreported-*.json")):
            lock = FileLock(str(path))
            try:
                lock.acquire()
            except BlockingIOError:
                of_others += self._read(path)
            except OSError as error:
                self._warn("what was used without the store cannot be inherited", path, error)
            else:
                inherited += self._read(path)
                self._inherited.append((path, lock))
        return inherited, of_others

    def keep(self, usages: Sequence[Usage]) -> None:
        """Keep these, and nothing else. That it fails is told in the log, once."""
        try:
            if usages:
                self._write(usages)
            elif self._lock is not None:
                _remove(self._path, self._lock)
                self._lock = None
            while self._inherited:
                _remove(*self._inherited.pop())
            self._fails = False
        except OSError as error:
            if not self._fails:
                self._warn("what is used without the store cannot be kept", self._path, error)
            self._fails = True

    def release(self) -> None:
        """Let somebody inherit what is kept, or was not taken over."""
        for lock in (self._lock, *(lock for _, lock in self._inherited)):
            if lock is not None:
                lock.release()
        self._lock, self._inherited = None, []

    def _write(self, usages: Sequence[Usage]) -> None:
        if self._lock is None:
            make_private_folder(self._folder)
            lock = FileLock(str(self._path))
            lock.acquire()
            self._lock = lock
        epoch = time.time() - self._clock()
        draft = _draft_of(self._path)
        with open(draft, "wb", opener=open_private) as file:
            file.write(orjson.dumps([(*one[:2], epoch + one.at, one.amount) for one in usages]))
        draft.replace(self._path)

    def _read(self, path: Path) -> list[Usage]:
        now = self._clock()
        epoch = time.time() - now
        try:
            return [
                Usage(str(subject), str(kind), min(float(at) - epoch, now), int(amount))
                for subject, kind, at, amount in orjson.loads(path.read_bytes())
            ]
        except FileNotFoundError:  # it has been reported meanwhile
            return []
        except (OSError, ArithmeticError, TypeError, ValueError) as error:
            self._warn("what was used without the store cannot be read, and is set aside", path, error)
            with suppress(OSError):
                os.replace(path, aside(str(path)))
            return []

    def _warn(self, message: str, path: Path, error: Exception) -> None:
        log.warning(message, extra={"path": str(path), "error": f"{type(error).__name__}: {error}"})


def _draft_of(path: Path) -> Path:
    return path.with_suffix(".draft")


def _remove(path: Path, lock: FileLock) -> None:
    try:
        for left in (path, _draft_of(path), Path(f"{path}.lock")):
            left.unlink(missing_ok=True)
    finally:
        lock.release()
