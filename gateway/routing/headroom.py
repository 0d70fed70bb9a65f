"""What an upstream last announced of its own limits for one key with one model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.dialects.headroom import Announced, Window, windows


@dataclass(frozen=True, slots=True)
class Announcement:
    """What was last announced."""

    seconds_ago: float
    windows: Mapping[str, Window]
    """By kind of limit."""


class Headroom:
    """Keeps the words of the newest answer that had any; they are read when somebody asks what they say."""

    __slots__ = ("_announced", "_at", "_values")

    def __init__(self) -> None:
        self._announced: Announced = {}
        self._values: Sequence[str | None] = ()
        self._at = 0.0

    def hear(self, announced: Announced, headers: Mapping[str, str]) -> None:
        """Take in what the head of an answer says. This is in the path of every request."""
        values = tuple(map(headers.get, announced))
        if any(values):
            self._announced, self._values, self._at = announced, values, time.monotonic()

    def newest(self, now: float) -> Announcement | None:
        """What was last announced, at ``now`` (monotonic seconds); None if nothing ever was."""
        age = max(now - self._at, 0.0)
        found = windows(self._announced, self._values, age)
        return Announcement(age, found) if found else None
