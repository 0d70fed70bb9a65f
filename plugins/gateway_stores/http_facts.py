"""Facts that processes share by way of an HTTP store."""

from __future__ import annotations

import asyncio
import time

from gateway.api import Site, StoreUnavailable
from gateway_stores.hearing import pass_on
from gateway_stores.http_client import HttpClient, Missing

POLL_SECONDS = 0.25
"""How often facts that others shared are asked for, and how long an answer may take."""


class FactExchange:
    """Posts the facts of this process and fetches those of the others, four times a second."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self._site = Site()
        self._mine: dict[str, tuple[str, float]] = {}
        """By name: value, and until when it holds (monotonic seconds)."""
        self._since = 0
        self._task: asyncio.Task[None] | None = None

    async def open(self, site: Site) -> None:
        """Fetch what holds already, if the server answers, and go on from there."""
        self._site = site
        await self._poll()
        self._task = asyncio.create_task(self._run(), name="facts of the HTTP store")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()

    def share(self, name: str, value: str, seconds: float) -> None:
        """Tell the others with the next poll."""
        self._mine[name] = value, time.monotonic() + seconds

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self._poll()

    async def _poll(self) -> None:
        """Facts that cannot be posted stay for the next time, for as long as they hold."""
        now = time.monotonic()
        sent = {name: fact for name, fact in self._mine.items() if fact[1] > now}
        facts = [
            {"name": name, "value": value, "seconds": until - now} for name, (value, until) in sent.items()
        ]
        body = {"holder": self._site.holder, "since": self._since, "facts": facts}
        try:
            answer = await self._client.call(("facts",), body, timeout=POLL_SECONDS)
            heard = [(str(one["name"]), str(one["value"]), float(one["seconds"])) for one in answer["facts"]]
            self._since = int(answer["next"])
        except (StoreUnavailable, Missing, TypeError, KeyError, ValueError):
            self._site.failed("share")
            return
        self._mine = {name: fact for name, fact in self._mine.items() if sent.get(name) is not fact}
        pass_on(self._site, heard)
