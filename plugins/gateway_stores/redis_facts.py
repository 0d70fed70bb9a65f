"""Facts that the processes at one Redis tell each other: a task that brings and fetches them."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from gateway.api import Site, StoreUnavailable, Trouble
from gateway_stores.census import Census
from gateway_stores.facts import Untold, pass_on
from gateway_stores.redis_link import Call, Link, Script

log = logging.getLogger(__name__)

SCRIPT: Final = Script("redis_facts.lua")
EVERY = 0.25
"""Seconds between two looks."""
WITHIN = 1.0
"""Seconds that one takes at most; so long does the start or the end of a process wait for Redis."""


class RedisFacts:
    """What was shared and not sent yet, and how much was heard. One key pair, in a cluster on one node."""

    def __init__(self, link: Link, base: str) -> None:
        self._link = link
        self._base = base
        self._site = Site()
        self.census = Census()
        self._untold = Untold()
        self._heard = "0"
        self._task: asyncio.Task[None] | None = None
        self.trouble: Trouble | None = None

    async def open(self, site: Site) -> None:
        """Hear what holds already, if the server answers; go on hearing."""
        self._site = site
        self.census.open(site.folder)
        await self._attempt()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Say goodbye, and send what was said, if possible; hear no more."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        self.census.leave(self._site.holder, self._untold)
        await self._attempt()

    def share(self, name: str, value: str, seconds: float) -> None:
        """Say something at the next occasion."""
        self._untold.add(name, value, seconds)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self._attempt()

    async def _attempt(self) -> None:
        try:
            await self._exchange()
        except StoreUnavailable as exc:
            self._failed(str(exc))
        except Exception as exc:  # which must not end the hearing for good
            if self.trouble is None:
                log.exception("bug in a store plugin")
            self._failed(f"{type(exc).__name__} in its plugin")
        else:
            self.trouble = None

    def _failed(self, reason: str) -> None:
        self._site.failed("share")
        self.trouble = Trouble(reason, self.trouble.since if self.trouble else time.time())

    async def _exchange(self) -> None:
        self.census.tell(self._site.holder, self._untold)
        with self._untold.telling() as facts:
            said = [part for name, value, seconds in facts for part in (name, value, repr(seconds))]
            call = Call(SCRIPT, self._base, (self._heard, self._site.holder, *said))
            [[heard, *found]] = await self._link.run([call], WITHIN)
        self._heard = heard.decode()
        parts = iter(part.decode(errors="replace") for part in found)
        others = zip(parts, parts, parts, strict=True)
        facts = [(name, value, float(seconds)) for name, value, seconds in others]
        pass_on(self._site, self.census.hear(facts))
