"""What an upstream last announced of its own limits for one key with one model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.dialects.headroom import Announced, Window, windows

USUAL = 60.0
"""Seconds until a window is free whose reset is not named: most are minutes."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What was last announced."""

    seconds_ago: float
    windows: Mapping[str, Window]
    """By kind of limit."""


class Headroom:
    """Keeps the words of the newest answer that had any; they are read when somebody asks what they say.

    Implements `gateway.api.Headroom`.
    """

    __slots__ = ("_announced", "_at", "_shares", "_values")

    def __init__(self) -> None:
        self._announced: Announced = {}
        self._values: Sequence[str | None] = ()
        self._at = 0.0
        self._shares: list[tuple[float, float]] | None = []
        """How much of each window is free again each second, and when all is; None while not read."""

    def hear(self, announced: Announced, headers: Mapping[str, str]) -> None:
        """Take in what the head of an answer says. This is in the path of every request."""
        values = tuple(map(headers.get, announced))
        if any(values):
            self._announced, self._values, self._at = announced, values, time.monotonic()
            self._shares = None

    def used(self, now: float) -> float:
        """The used part of the fullest window, 0 to 1. Each empties evenly until its reset."""
        if self._shares is None:
            self._shares = self._read(now)
        most = 0.0
        for speed, until in self._shares:
            if until > now:
                most = max(most, speed * (until - now))
        return most

    def newest(self, now: float) -> Announcement | None:
        """What was last announced, at ``now`` (monotonic seconds); None if nothing ever was."""
        age = max(now - self._at, 0.0)
        found = windows(self._announced, self._values, age)
        return Announcement(age, found) if found else None

    def _read(self, now: float) -> list[tuple[float, float]]:
        shares = []
        for window in windows(self._announced, self._values, max(now - self._at, 0.0)).values():
            if window.remaining is not None and window.remaining < (limit := window.limit or 1):
                until = self._at + USUAL if window.reset is None else now + window.reset
                if until > self._at:
                    shares.append(((1 - window.remaining / limit) / (until - self._at), until))
        return shares
