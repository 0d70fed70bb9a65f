"""Brings the facts of this process to a server, fetches those of the others, and counts who is there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.api import Site, StoreUnavailable, Trouble
from gateway_stores.facts import Fact, Untold, pass_on
from gateway_stores.windows.census import Census

log = logging.getLogger(__name__)

EVERY = 0.25
"""Seconds between two exchanges."""


class FactServer(Protocol):
    """The way to one server."""

    async def exchange(self, holder: str, facts: Sequence[Fact]) -> list[Fact]:
        """Tell ``facts`` of ``holder``; those that others told since the last time.

        Raises `StoreUnavailable`, after a second at the latest: who starts or ends waits for it."""


class FactExchange:
    """A task from `open` to `close`. What cannot be told waits, for as long as it holds. ``doubt`` is called
    where an exchange fails: what else is at the server may be out of reach as well."""

    def __init__(self, server: FactServer, doubt: Callable[[], None]) -> None:
        self._server = server
        self._doubt = doubt
        self._site = Site()
        self._untold = Untold()
        self._task: asyncio.Task[None] | None = None
        self.census = Census()
        self.trouble: Trouble | None = None
        """Why the last exchange failed, if it did."""

    async def open(self, site: Site) -> None:
        """Hear what holds already, if the server answers; go on hearing."""
        self._site = site
        self.census.open(site.folder)
        await self._attempt()
        self._task = asyncio.create_task(self._run(), name="facts")

    async def close(self) -> None:
        """Hear no more; say goodbye, and send what was said, if possible."""
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
        self._doubt()

    async def _exchange(self) -> None:
        holder = self._site.holder
        self.census.tell(holder, self._untold)
        with self._untold.telling() as facts:
            heard = await self._server.exchange(holder, facts)
        pass_on(self._site, self.census.hear(heard))
