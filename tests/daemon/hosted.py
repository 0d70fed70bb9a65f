"""A store whose shared part is in the supervisor: facts only; windows and records stay in each worker."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

import orjson

from gateway.api import Site, StoreUnavailable
from gateway_stores.memory import MemoryStore

POLL = 0.05

log = logging.getLogger(__name__)


@dataclass(eq=False)
class HostedStore(MemoryStore):
    """Registered by `tests.daemon.working` as ``hosted``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.shared = True
        self._facts: list[tuple[str, str, str, float]] = []
        """Holder, name, value, and until when, in the supervisor."""
        self._heard = 0
        self._background: set[asyncio.Task[None]] = set()

    async def open(self, site: Site) -> None:
        await super().open(site)
        if site.ask is not None:
            self._run(self._listen(site))

    async def close(self) -> None:
        for task in self._background:
            task.cancel()

    def share(self, name: str, value: str, seconds: float) -> None:
        if self._site.ask is not None:
            self._run(self._tell([name, value, seconds]))

    async def answer(self, holder: str, message: bytes) -> bytes:
        """``[name, value, seconds]`` tells; a number asks for the facts from there on."""
        told = orjson.loads(message)
        if isinstance(told, list):
            name, value, seconds = told
            self._facts.append((holder, name, value, time.monotonic() + seconds))
            return b"null"
        now = time.monotonic()
        return orjson.dumps([(*fact[:3], fact[3] - now) for fact in self._facts[told:]])

    def lost(self, holder: str) -> None:
        """Nothing is held."""

    async def _tell(self, fact: object) -> None:
        assert self._site.ask is not None
        await self._site.ask(orjson.dumps(fact))

    async def _listen(self, site: Site) -> None:
        assert site.ask is not None
        while True:
            try:
                facts = orjson.loads(await site.ask(orjson.dumps(self._heard)))
            except StoreUnavailable:
                return
            self._heard += len(facts)
            for holder, name, value, seconds in facts:
                if holder != site.holder and seconds > 0:
                    site.heard(name, value, seconds)
                    log.info("fact heard", extra={"fact": name})
            await asyncio.sleep(POLL)

    def _run(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
