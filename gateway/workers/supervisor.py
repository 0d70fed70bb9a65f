"""The parent of the workers: it listens, starts and watches them, reloads all at once, and speaks for all."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial

import orjson

from gateway import __version__, interpreter, systemd
from gateway.api import Hosting, Site
from gateway.config.cautions import own_secrets
from gateway.config.problems import ConfigError, Problem, opening
from gateway.controls import Controls
from gateway.first_of import first_of
from gateway.instances import build_plugins
from gateway.listeners import addresses, bind
from gateway.logs import configure
from gateway.metrics import Metrics
from gateway.processes import CPU
from gateway.registry import Registry
from gateway.reload import Reloaded
from gateway.scrape import TOPIC as METRICS
from gateway.workers.crew import Crew
from gateway.workers.member import Member
from gateway.workers.reloading import Beginning, Reloading
from gateway.workers.shares import Shares

log = logging.getLogger(__name__)

AFTER_DRAIN = 5.0
"""Seconds beyond ``drain_timeout`` that workers get to write what is to be written."""
ANSWER = 1.0
"""Seconds in which they have to say how long they may drain."""
HURRIED = 3.0
"""Seconds that they get once they are to hurry."""


class Supervisor:
    """Serves nothing itself. What workers ask it by is in `_handle`."""

    def __init__(self, path: str | None, beginning: Beginning, registry: Registry, workers: int) -> None:
        self._loaded = beginning.loaded
        plugins = build_plugins(self._loaded.config, registry)  # which check their own settings
        self._workers = workers
        self._started = time.monotonic()
        self._path = path
        self._controls = Controls(self._reload)
        self._metrics = Metrics(__version__)
        """Of this process, and what workers that have ended had counted."""
        self._store = plugins.store
        self._host = self._store if isinstance(self._store, Hosting) else None
        self._crew: Crew
        self._reloading = Reloading(path, beginning, registry)

    async def serve(self) -> int:
        """Start the workers, serve until told to stop, drain; the exit code.

        Raises `ConfigError`, `CannotBind`, `OSError` or `GaveUp` if it cannot start.
        """
        config = self._loaded.config
        configure(config.logging.level).hide(own_secrets(config))
        with self._controls.signals():
            await self._open_store()
            self._sockets = bind(config.server)
            self._shares = Shares.make(self._workers)
            inherited = [self._shares.fd, *(sock.fileno() for sock in self._sockets)]
            self._crew = Crew(self._workers, inherited, self._handle, self._ended)
            running = asyncio.create_task(self._crew.run())
            pinging = asyncio.create_task(systemd.keep_watchdog(lambda: self._crew.answering))
            try:
                await self._supervise(running)
            finally:
                pinging.cancel()
                await self._drain(running)
                if self._host is not None:
                    await self._store.close()
        return 0

    async def _open_store(self) -> None:
        store, section = self._store, self._loaded.config.storage
        if not (store.shared or self._host is not None):
            message = (
                f"{section.runtime.type} is for one process, and server.workers asks for {self._workers}"
            )
            raise ConfigError([Problem("storage.runtime.type", None, message)])
        if self._host is not None:
            failed = partial(self._metrics.store_error, section.runtime.type)
            site = Site("supervisor", self._workers, section.on_trouble, supervises=True, failed=failed)
            with opening("storage.runtime"):
                await store.open(site)

    async def _supervise(self, running: asyncio.Task[None]) -> None:
        """Wait until it is time to stop. Raises what ``running`` raises."""
        stopping = asyncio.create_task(self._controls.stopping.wait())
        complete = asyncio.create_task(self._crew.complete.wait())
        try:
            await asyncio.wait({running, complete, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if complete.done():
                log.info("listening", extra={"addresses": addresses(self._sockets), "workers": self._workers})
                systemd.notify("READY=1")
                with self._controls.watching(self._path, self._loaded.digest):
                    interpreter.tune()
                    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            complete.cancel()
        if running.done():
            running.result()

    async def _drain(self, running: asyncio.Task[None]) -> None:
        systemd.notify("STOPPING=1")
        for sock in self._sockets:
            sock.close()
        ended = asyncio.Event()
        running.add_done_callback(lambda _: ended.set())
        self._crew.stop()
        told = (await self._crew.ask("drain_timeout", None, ANSWER)).values()
        patience = max(map(float, told), default=self._loaded.config.server.drain_timeout)
        systemd.extend_timeout(patience + 2 * AFTER_DRAIN + HURRIED)
        await first_of(patience + AFTER_DRAIN, ended, self._controls.hurrying)
        if not ended.is_set():
            hurrying = asyncio.create_task(self._crew.ask("hurry", None, HURRIED))
            await first_of(HURRIED, ended)
            hurrying.cancel()
        self._crew.kill()
        with suppress(Exception):  # told already, if it is why we stop
            await running

    async def _handle(self, member: Member, topic: str, body: bytes) -> bytes:
        """Answer a worker."""
        match topic:
            case "store":
                assert self._host is not None
                return await self._host.answer(member.holder, body)
            case "alive":
                pass  # any message is a sign of life
            case "snapshot":
                member.snapshot = body
            case "gather":
                return await self._gather(orjson.loads(body))
            case "reload":
                return orjson.dumps(await self._reload(orjson.loads(body)))
            case "followed":
                await self._follow(orjson.loads(body))
            case "enlist":
                return orjson.dumps(self._orders(member))
            case "serving":
                await self._reloading.catch_up(member)
                self._crew.joined(member)
                await self._crew.complete.wait()
            case "refused":
                message, code = orjson.loads(body)
                member.refusal = (message, code)
            case _:
                raise LookupError(topic)
        return b"null"

    def _orders(self, member: Member) -> dict[str, object]:
        """What a worker has to know to begin."""
        return {
            "number": member.number,
            "workers": self._workers,
            "holder": member.holder,
            "sockets": [sock.fileno() for sock in self._sockets],
            "shares": self._shares.fd,
            "started": self._started,
            "asks": self._host is not None,
            "replaces": self._crew.complete.is_set(),
            **self._reloading.orders(member),
        }

    async def _gather(self, question: dict[str, object]) -> bytes:
        """A JSON list with the answer of each worker; for metrics also of those that are silent or gone."""
        seconds = question["seconds"]
        assert isinstance(seconds, float)
        answers = await self._crew.ask("peer", question, seconds)
        found = list(answers.values())
        if question["topic"] == METRICS:
            for member, answer in answers.items():
                member.snapshot = answer
            told = (member.snapshot for member in self._crew.serving)
            found = [snapshot for snapshot in told if snapshot is not None]
            found.append(orjson.dumps(await asyncio.to_thread(self._metrics.snapshot)))
        return b"[" + b",".join(found) + b"]"

    async def _reload(self, why: str) -> Reloaded:
        result = await self._reloading.reload(self._crew, why)
        self._metrics.config_reload(result.outcome)
        return result

    async def _follow(self, why: str) -> None:
        result = await self._reloading.follow(self._crew, why)
        if result is not None:
            self._metrics.config_reload(result.outcome)

    def _ended(self, member: Member) -> None:
        """Keep what a worker had counted, and let go of what it held."""
        self._shares.of(member.number).leave()
        if member.snapshot is not None:
            last = orjson.loads(member.snapshot)
            process = {CPU: last["process"].get(CPU, 0.0)}
            self._metrics.add({**last, "gauges": [], "process": process})
        if self._host is not None:
            self._host.lost(member.holder)
