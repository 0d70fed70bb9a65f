"""Parallel slots of one subject in one process: in use, held for those to come, and held by others."""

from __future__ import annotations

from math import inf

from gateway_stores.windows.pool import AHEAD, SPARE


class Slots:
    """A level: nothing of it is ever used up, only held."""

    __slots__ = ("_others_until", "_peak", "free", "in_flight", "limit", "others")

    def __init__(self) -> None:
        self.limit = 0
        """0: any number."""
        self.in_flight = 0
        self.free = 0
        """Held and not in use; negative where more are in use than were held."""
        self.others = 0
        """Held by other holders."""
        self._others_until = inf
        self._peak = 0
        """Most in flight at once since the last ask."""

    def change(self, limit: int) -> None:
        """Go on with another limit; what was granted under the old one is given back."""
        self.limit = limit
        self.give_back()

    def slide(self, now: float) -> float:
        """Let go of what others held too long ago; when that will be (monotonic seconds)."""
        if now >= self._others_until:
            self.others, self._others_until = 0, inf
        return self._others_until

    def take(self) -> int:
        """Take one, beyond what is held if need be; how many are in flight then."""
        self.free -= 1
        self.in_flight += 1
        if self.in_flight > self._peak:
            self._peak = self.in_flight
        return self.in_flight

    def free_one(self) -> int:
        """One is in use no longer; how many are in flight then."""
        self.free += 1
        self.in_flight -= 1
        return self.in_flight

    def covers(self) -> bool:
        """Whether one more is held."""
        return not self.limit or (self.free > 0 and self.in_flight + self.others < self.limit)

    def full(self, sharers: int = 1) -> bool:
        """Whether all are in use, or this process's equal part of what others do not hold."""
        return self.limit > 0 and self.in_flight >= (self.limit - self.others) // sharers

    def give_back(self) -> None:
        """Hold no more than what is in use."""
        self.free = min(self.free, 0)

    def scarce(self) -> bool:
        """Whether there are none left but those that are held here and not in use."""
        return self.free > 0 and self.in_flight + self.free + self.others >= self.limit

    def let_go(self) -> None:
        """Hold no more than what is in use, and wish for no more."""
        self.give_back()
        self._peak = self.in_flight

    def spare(self, holders: int) -> int:
        """Slots that may be held ahead of demand: a few, and only where most are free."""
        spare = self.limit // (SPARE * max(holders, 1))
        return spare if self.in_flight + self.others + spare <= self.limit // 2 else 0

    def keep(self, waiting: int, holders: int) -> tuple[int, int]:
        """Give back what is not wanted; what is needed and what is wanted beyond the rest. So many are
        ``waiting``."""
        wish = max(waiting, self._peak - self.in_flight)
        if self._peak or waiting:
            wish = max(wish, min(max(self.free, AHEAD * waiting), self.spare(holders)))
        self._peak = self.in_flight
        self.free = min(max(self.free, 0), wish)
        need = 1 if waiting and not self.free else 0
        return need, wish - self.free - need

    def learn(self, granted: int, others: int, until: float) -> None:
        """What the authority said, and until when that counts (monotonic seconds)."""
        self.free += granted
        self.others, self._others_until = others, until
