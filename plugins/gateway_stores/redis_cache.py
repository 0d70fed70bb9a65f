"""Cached answers in Redis, which forgets them by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.api import Site
from gateway_stores.redis_link import PROMPT, Call, Link, Script

SCRIPT: Final = Script("redis_cache.lua", ":sizes")


class RedisCache:
    """The part of a store that keeps answers; bounded, oldest first. In a cluster it is on one node."""

    def __init__(self, link: Link, base: str, clock: Callable[[], float] | None = None) -> None:
        self._link = link
        self._base = base
        self._clock = clock
        """Seconds in place of the server's time; for tests."""

    async def get(self, key: str) -> bytes | None:
        """An answer that has not expired."""
        [answer] = await self._link.run([Call(SCRIPT, self._base, ("get", self._now(), key))], PROMPT)
        with self._link.reading():
            return None if answer is None else b"".join([answer])

    async def put(self, key: str, value: bytes, seconds: float, site: Site) -> None:
        """Keep an answer within the bounds that the site sets."""
        bounds = repr(seconds), site.cache_entries, site.cache_bytes
        await self._link.run([Call(SCRIPT, self._base, ("put", self._now(), key, value, *bounds))])

    def _now(self) -> str:
        return "" if self._clock is None else repr(self._clock())
