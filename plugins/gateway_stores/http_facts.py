"""Facts that processes share by way of an HTTP store."""

from __future__ import annotations

import asyncio

from gateway.api import Site, StoreUnavailable
from gateway_stores.census import Census
from gateway_stores.facts import Fact, Untold, pass_on
from gateway_stores.http_client import HttpClient, Missing

POLL_SECONDS = 0.25
"""How often facts that others shared are asked for, and how long an answer may take."""


class FactExchange:
    """Posts the facts of this process and fetches those of the others, four times a second."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self._site = Site()
        self.census = Census()
        self._untold = Untold()
        self._since = 0
        self._task: asyncio.Task[None] | None = None

    async def open(self, site: Site) -> None:
        """Fetch what holds already, if the server answers, and go on from there."""
        self._site = site
        self.census.open(site.folder)
        await self._poll()
        self._task = asyncio.create_task(self._run(), name="facts of the HTTP store")

    async def close(self) -> None:
        """Say goodbye, and send what was said, if possible; hear no more."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        self.census.leave(self._site.holder, self._untold)
        await self._poll()

    def share(self, name: str, value: str, seconds: float) -> None:
        """Tell the others with the next poll."""
        self._untold.add(name, value, seconds)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self._poll()

    async def _poll(self) -> None:
        try:
            heard = await self._exchange()
        except (StoreUnavailable, Missing, TypeError, KeyError, ValueError):
            self._site.failed("share")
        else:
            pass_on(self._site, self.census.hear(heard))

    async def _exchange(self) -> list[Fact]:
        """Facts that cannot be posted stay for the next time, for as long as they hold."""
        self.census.tell(self._site.holder, self._untold)
        with self._untold.telling() as told:
            facts = [{"name": name, "value": value, "seconds": seconds} for name, value, seconds in told]
            body = {"holder": self._site.holder, "since": self._since, "facts": facts}
            answer = await self._client.call(("facts",), body, timeout=POLL_SECONDS)
            heard = [(str(one["name"]), str(one["value"]), float(one["seconds"])) for one in answer["facts"]]
            self._since = int(answer["next"])
        return heard
