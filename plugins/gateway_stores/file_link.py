"""The way to what the processes of a machine share: straight, or from a worker to the supervisor and back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import orjson

from gateway.api import Site, StoreUnavailable, Trouble
from gateway_stores.facts import Untold, pass_on
from gateway_stores.file_host import Host
from gateway_stores.windows.quota import (
    Answer,
    Ask,
    answer_from_json,
    answer_to_json,
    ask_from_json,
    ask_to_json,
)

POLL_SECONDS = 0.2
"""A fact is known everywhere after twice this, at the latest."""
_NONSENSE = (AttributeError, KeyError, TypeError, ValueError)


class Link:
    """An `Authority`, and the teller and listener of facts. ``host`` is None in a worker."""

    def __init__(self) -> None:
        self._site = Site()
        self._host: Host | None = None
        self._untold = Untold()
        self._heard = 0
        """The number of the last fact that was heard."""
        self._poke = asyncio.Event()
        self._polling: asyncio.Task[None] | None = None
        self._trouble: Trouble | None = None

    async def open(self, site: Site, host: Host | None) -> None:
        """Hear what still holds. Raises `OSError` where the host cannot begin."""
        self._site, self._host = site, host
        if host is not None:
            await host.open()
            pass_on(site, host.news(site.holder, 0)[1])
            return
        with suppress(StoreUnavailable):
            await self._poll()
        self._polling = asyncio.create_task(self._keep_polling())

    async def close(self) -> None:
        """Tell what was not told yet."""
        if self._host is not None:
            await self._host.close()
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait({self._polling})  # what it was telling is untold again
            if self._untold:
                with suppress(StoreUnavailable):
                    await self._poll()

    @property
    def trouble(self) -> Trouble | None:
        """What is wrong with the host's file, in a worker as of the last poll."""
        return self._trouble if self._host is None else self._host.trouble

    async def exchange(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        """As `Authority.exchange`."""
        if self._host is not None:
            return self._host.exchange(asks)
        answer = await self._ask({"asks": [ask_to_json(ask) for ask in asks]})
        try:
            return [answer_from_json(one) for one in answer["answers"]]
        except _NONSENSE as error:
            raise StoreUnavailable("the supervisor answered what makes no sense") from error

    def share(self, name: str, value: str, seconds: float) -> None:
        """As `Store.share`."""
        if self._host is not None:
            self._host.tell(self._site.holder, name, value, seconds)
        else:
            self._untold.add(name, value, seconds)
            self._poke.set()

    async def _keep_polling(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._poke.wait()
            self._poke.clear()
            with suppress(StoreUnavailable):
                await self._poll()

    async def _poll(self) -> None:
        """Tell and hear. What could not be told is told with the next poll."""
        try:
            with self._untold.telling() as told:
                answer = await self._ask({"told": told, "since": self._heard})
                facts = [(str(name), str(value), float(seconds)) for name, value, seconds in answer["facts"]]
                self._heard = int(answer["number"])
                trouble = answer.get("trouble")
                self._trouble = Trouble(*trouble) if trouble else None
        except _NONSENSE as error:
            raise StoreUnavailable("the supervisor answered what makes no sense") from error
        pass_on(self._site, facts)

    async def _ask(self, message: dict[str, Any]) -> Any:
        assert self._site.ask is not None
        return orjson.loads(await self._site.ask(orjson.dumps(message)))


def answer(host: Host, holder: str, message: bytes) -> bytes:
    """The host's answer to what a worker's `Link` asked. Raises `ValueError` for anything else."""
    asked = orjson.loads(message)
    try:
        if "asks" in asked:
            answers = host.exchange([ask_from_json(ask) for ask in asked["asks"]])
            return orjson.dumps({"answers": [answer_to_json(one) for one in answers]})
        for name, value, seconds in asked["told"]:
            host.tell(holder, name, value, seconds)
        number, facts = host.news(holder, asked["since"])
    except _NONSENSE as error:
        raise ValueError("not a message of the file store") from error
    trouble = host.trouble and tuple(host.trouble)
    return orjson.dumps({"number": number, "facts": facts, "trouble": trouble})
