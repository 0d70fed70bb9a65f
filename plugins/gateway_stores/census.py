"""How many processes are at a store: from time to time each tells the others that it is there, as a fact."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from math import inf
from pathlib import Path

from gateway_stores.facts import Fact, Untold
from gateway_stores.head_count import HeadCount

EVERY = 20.0
"""Seconds after which a process tells it again."""
LASTS = 60.0
"""Seconds for which one that tells it no more is counted."""
FAREWELL = 2.0
"""Seconds for which one is counted that has told that it ends."""
_PROCESS = "process:"


class Census:
    """Goes by what was heard last: where the store is lost, the others are still there. Before anything was
    heard it goes by what processes before this one have found."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._others: dict[str, float] = {}
        """Until when each of them is counted."""
        self._tell_at = self._heard_at = -inf
        self._highest = HeadCount(None)

    def open(self, folder: Path | None) -> None:
        """Remember the count in ``folder``, if there is one, and what was counted before."""
        self._highest = HeadCount(folder)

    @property
    def count(self) -> int:
        """All that are known, this one included; 0: nothing is known."""
        return self._highest.count if self._heard_at == -inf else 1 + len(self._others)

    def tell(self, holder: str, untold: Untold) -> None:
        """Say that this process is there, if it is time to; to be called before each exchange of facts."""
        now = self._clock()
        if now >= self._tell_at:
            self._tell_at = now + EVERY
            untold.add(f"{_PROCESS}{holder}", "here", LASTS)

    def leave(self, holder: str, untold: Untold) -> None:
        """Say that it ends; to be called before the last exchange."""
        self._tell_at = inf
        untold.add(f"{_PROCESS}{holder}", "gone", FAREWELL)

    def hear(self, facts: Iterable[Fact]) -> list[Fact]:
        """Count by what an exchange brought, if anything; those facts that are about something else."""
        now = self._clock()
        if now > self._heard_at + EVERY:  # the others were not heard either: they get time
            self._others = dict.fromkeys(self._others, now + LASTS)
        self._heard_at = now
        rest = []
        for fact in facts:
            name, _, seconds = fact
            if name.startswith(_PROCESS):
                self._others[name] = now + min(seconds, LASTS)
            else:
                rest.append(fact)
        self._others = {name: until for name, until in self._others.items() if until > now}
        self._highest.note(self.count)
        return rest
