"""Facts that the processes at one Redis tell each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway_stores.facts import Fact
from gateway_stores.redis_link import Call, Link, Script

SCRIPT: Final = Script("redis_facts.lua", ":facts")
WITHIN = 1.0
"""Seconds that one exchange takes at most."""


class RedisFacts:
    """A `FactServer`. One key pair, in a cluster on one node."""

    def __init__(self, link: Link, base: str) -> None:
        self._link = link
        self._base = base
        self._heard = "0"
        """The number of the last fact that was heard."""

    async def exchange(self, holder: str, facts: Sequence[Fact]) -> list[Fact]:
        """As `FactServer.exchange`."""
        said = [part for name, value, seconds in facts for part in (name, value, repr(seconds))]
        call = Call(SCRIPT, self._base, (self._heard, holder, *said))
        [reply] = await self._link.run([call], WITHIN)
        with self._link.reading():
            heard, *found = reply
            parts = iter(part.decode(errors="replace") for part in found)
            others = zip(parts, parts, parts, strict=True)
            news = [(name, value, float(seconds)) for name, value, seconds in others]
            self._heard = heard.decode()
        return news
