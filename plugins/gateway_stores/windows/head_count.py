"""The most processes that were at a store lately, kept in a file for a start at which the store is lost."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from gateway.api.folders import make_private_folder

NAME = "processes.json"
LATELY = 7 * 86400.0
"""Seconds for which a count holds."""
FRESH = 3600.0
"""Seconds after which it is written again if it still holds."""

log = logging.getLogger(__name__)


class HeadCount:
    """The highest count of some days. Several processes may keep one file: the last writer is right, for all
    of them count the same."""

    def __init__(self, folder: Path | None, clock: Callable[[], float] = time.time) -> None:
        """``folder`` is made if it is missing; None: nothing is kept."""
        self._path = None if folder is None else folder / NAME
        self._clock = clock
        self.count, self._at = self._read()
        """0: nothing is known."""

    def note(self, count: int) -> None:
        """``count`` processes are there now."""
        age = self._clock() - self._at
        if count > self.count or age > LATELY or (count == self.count and age > FRESH):
            self.count, self._at = count, self._clock()
            self._write()

    def _read(self) -> tuple[int, float]:
        """The count and when it was found, if it is not too old and makes sense."""
        if self._path is None:
            return 0, 0.0
        try:
            kept = json.loads(self._path.read_bytes())
            count, at = int(kept["processes"]), float(kept["at"])
        except FileNotFoundError:
            return 0, 0.0
        except (OSError, ArithmeticError, ValueError, TypeError, KeyError) as error:
            self._warn("the number of processes at the store, as it was, cannot be read", error)
            return 0, 0.0
        now = self._clock()
        return (count, min(at, now)) if count > 0 and now - at <= LATELY else (0, 0.0)

    def _write(self) -> None:
        """Whole or not at all. What cannot be written is not worth more than a line."""
        if self._path is None:
            return
        draft = self._path.with_suffix(f".{os.getpid()}")
        try:
            make_private_folder(self._path.parent)
            draft.write_text(json.dumps({"processes": self.count, "at": self._at}))
            draft.replace(self._path)
        except OSError as error:
            self._warn("the number of processes at the store cannot be kept", error)

    def _warn(self, message: str, error: Exception) -> None:
        log.warning(message, extra={"path": str(self._path), "error": f"{type(error).__name__}: {error}"})
