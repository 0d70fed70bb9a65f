"""Facts that processes tell each other: those that wait to be told, and those of others, passed on."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from gateway.api import Site

log = logging.getLogger(__name__)

Fact = tuple[str, str, float]
"""Name, value, seconds for which it still holds."""


class Untold:
    """Facts of this process that the others do not know yet: of each name the latest, in the order told."""

    def __init__(self) -> None:
        self._facts: dict[str, tuple[str, float]] = {}
        """By name: value, and until when it holds (monotonic seconds)."""

    def __bool__(self) -> bool:
        return bool(self._facts)

    def add(self, name: str, value: str, seconds: float) -> None:
        """In place of what waits under this name, and behind all others."""
        self._facts.pop(name, None)
        self._facts[name] = value, time.monotonic() + seconds

    @contextmanager
    def telling(self) -> Iterator[list[Fact]]:
        """Those that still hold; where the block fails they wait again, but for those with a later value: to
        be told twice does no harm."""
        now = time.monotonic()
        taken = {name: fact for name, fact in self._facts.items() if fact[1] > now}
        self._facts = {}
        try:
            yield [(name, value, until - now) for name, (value, until) in taken.items()]
        except BaseException:
            later = self._facts
            self._facts = {name: fact for name, fact in taken.items() if name not in later} | later
            raise


def pass_on(site: Site, facts: Iterable[Fact]) -> None:
    """Have the core hear each of them."""
    for name, value, seconds in facts:
        try:
            site.heard(name, value, seconds)
        except Exception:
            log.exception("a fact of another process could not be taken in", extra={"fact": name})
