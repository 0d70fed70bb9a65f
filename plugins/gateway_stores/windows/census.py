"""How many processes are at a store: from time to time each tells the others that it is there, as a fact."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from math import inf
from pathlib import Path
from typing import NamedTuple

from gateway_stores.facts import Fact, Untold
from gateway_stores.windows.head_count import HeadCount

EVERY = 20.0
"""Seconds after which a process tells it again."""
LASTS = 60.0
"""Seconds for which a process that has fallen silent is still counted."""
STRANGERS = 4
"""How many gateways a process assumes at a store that neither it nor a process before it has ever reached."""
_PROCESS, _HERE, _GONE = "process:", "here", "gone"


class _Other(NamedTuple):
    """Another process, by our clock."""

    since: float
    until: float
    """When it is counted no more."""


class Census:
    """Goes by what was heard last: where the store is lost, the others are still there. Before anything was
    heard it goes by what processes before this one have found."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._others: dict[str, _Other] = {}
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
            untold.add(f"{_PROCESS}{holder}", _HERE, LASTS)

    def leave(self, holder: str, untold: Untold) -> None:
        """Say that it ends; to be called before the last exchange."""
        self._tell_at = inf
        untold.add(f"{_PROCESS}{holder}", _GONE, LASTS)

    def hear(self, facts: Iterable[Fact]) -> list[Fact]:
        """Count by what an exchange brought, if anything; those facts that are about something else."""
        now = self._clock()
        if now > self._heard_at + EVERY:  # the others were not heard either: they get time
            self._others = {name: _Other(one.since, now + LASTS) for name, one in self._others.items()}
        self._heard_at = now
        rest = []
        for fact in facts:
            name, value, seconds = fact
            if not name.startswith(_PROCESS):
                rest.append(fact)
            elif value == _GONE:
                self._others.pop(name, None)
            else:
                since = self._others[name].since if name in self._others else now
                self._others[name] = _Other(since, now + min(seconds, LASTS))
        self._others = {name: one for name, one in self._others.items() if one.until > now}
        # One that was killed is still counted for `LASTS`: until then whoever is new may be its successor.
        self._highest.note(1 + sum(now - one.since >= LASTS for one in self._others.values()))
        return rest


def parts(census: Census | None, workers: int, holders: int) -> int:
    """Into how many parts to divide what is left of a limit while its store is lost.

    ``census``: None where only the ``workers`` of one gateway share it; ``holders`` are the processes that
    were last heard to use it, 0 if it was never heard of. Then others may have used much of it, and where
    nobody is known at all, they may be more."""
    known = workers if census is None else census.count
    sharers = max(workers, known, holders)
    return sharers if holders else max(2 * sharers, 0 if known else STRANGERS * workers)
