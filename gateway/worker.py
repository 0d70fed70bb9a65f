"""One of several workers: a daemon that listens where its supervisor does, and is told by it what to do."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
import uvloop

from gateway.acceptor import Share
from gateway.api import StoreUnavailable
from gateway.config.read import ConfigError, Loaded, load
from gateway.daemon import Daemon, cannot_start
from gateway.instances import installed
from gateway.listeners import CannotBind
from gateway.logs import LogHandler
from gateway.managed import ManagedConfig
from gateway.peers import Peers
from gateway.registry import Registry
from gateway.reload import Reloaded, Reloader, Source, caution, kept
from gateway.runner import MissingParser
from gateway.runtime import Live
from gateway.scrape import TOPIC as METRICS
from gateway.workers.channel import CallFailed, Channel, ChannelClosed
from gateway.workers.linked import Linked
from gateway.workers.orphan import end_with_supervisor
from gateway.workers.reloading import unpack
from gateway.workers.shares import Shares
from gateway.workers.telling import keep_telling

log = logging.getLogger(__name__)

REPORTED = 1.0
"""Seconds in which the supervisor should have reported a change."""
SIGN_OF_LIFE = 5.0
"""Seconds in which it must say that it is there, before it is asked for a reload that may take longer."""


class Worker(Daemon):
    """``orders`` are what the supervisor told it to begin with."""

    def __init__(self, link: Link, orders: dict[str, Any], registry: Registry) -> None:
        self._content = unpack(orders["first"])
        loaded = load(self._content, os.environ, installed(registry))
        super().__init__(orders["path"], loaded, registry)
        self._link = link
        self._orders = orders

    async def answer(self, topic: str, payload: Any) -> object:
        """Do what the supervisor asks for."""
        assert self.live is not None
        match topic:
            case "peer":
                return await self._link.peers.answer(payload["topic"], payload["payload"])
            case "apply":
                return {"result": await self._apply(payload), "version": self.live.current.version}
            case "reloaded":
                result = Reloaded(**payload["result"])
                self.live.reload_errors = list(result.errors)
                if payload["speaker"] == self._orders["number"]:
                    result.log(payload["why"], payload["version"])
            case "drain_timeout":
                return self.live.current.config.server.drain_timeout
            case "hurry":
                self._controls.stopping.set()
                self._controls.hurrying.set()
            case _:
                raise LookupError(topic)
        return None

    @contextmanager
    def _heeding(self) -> Iterator[None]:
        """SIGTERM drains, and so does the supervisor's end. What a terminal sends is for the supervisor."""
        loop = asyncio.get_running_loop()
        stop = self._controls.stopping.set
        loop.add_signal_handler(signal.SIGTERM, stop)
        orphaned = asyncio.create_task(self._link.channel.closed.wait())
        orphaned.add_done_callback(lambda _: stop())
        try:
            yield
        finally:
            orphaned.cancel()
            loop.remove_signal_handler(signal.SIGTERM)

    def _watching(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _sockets(self) -> Sequence[socket.socket]:
        return [socket.socket(fileno=number) for number in self._orders["sockets"]]

    def _share(self) -> Share:
        return Shares(self._orders["shares"], self._orders["workers"]).of(self._orders["number"])

    def _peers(self) -> Peers:
        return self._link.peers

    async def prepare(self) -> tuple[ManagedConfig, Loaded]:
        """As `Daemon.prepare`; what waits for a restart is as it was when the supervisor started."""
        managed, loaded = await super().prepare()
        started = managed.combined(self._orders["overlay"])
        self._loaded = replace(loaded, config=kept(loaded.config, started))
        return managed, self._loaded

    async def _make_live(self, handler: LogHandler) -> Live:
        live = await super()._make_live(handler)
        live.site.holder = self._orders["holder"]
        live.site.workers = self._orders["workers"]
        live.started = self._orders["started"]
        live.site.ask = self._link.ask if self._orders["asks"] else None
        live.reload_errors = self._orders["errors"]
        return live

    async def _make_reloader(self, live: Live) -> Reloader:
        self._reloader = _Relayed(
            self._link.channel,
            live.managed.load,
            live,
            self._registry,
            cautious=self._orders["number"] == 0,
        )
        if self._orders["current"] != self._orders["first"]:
            await self._apply(self._orders["current"])
        return self._reloader

    def _read(self) -> Loaded:
        return load(self._content, os.environ, installed(self._registry))

    async def _reload(self, why: str) -> Reloaded:
        """Nobody but the supervisor reloads the file; what else has changed, each worker sees by itself, and
        one of them has the supervisor report it."""
        assert self._reloader is not None
        result = await self._reloader.refresh()
        if self._orders["number"] == 0:
            with suppress(ChannelClosed, TimeoutError):  # then it is reported later: we go on to follow
                async with asyncio.timeout(REPORTED):
                    await self._link.channel.call("followed", orjson.dumps(why))
        return result

    async def _apply(self, packed: list[Any]) -> Reloaded:
        """Take over another content of the file."""
        assert self._reloader is not None
        before, self._content = self._content, unpack(packed)
        result = await self._reloader.refresh()
        if result.errors:
            self._content = before
        return result

    async def _announce(self, live: Live) -> None:
        if self._orders["number"] == 0:
            caution(self._loaded, live.current)
        self._pushing = asyncio.create_task(self._push())  # a task that nobody holds may be collected
        with suppress(ChannelClosed):
            await self._link.channel.call("serving")
        live.ready = True
        if self._orders["replaces"]:
            self._controls.reload("storage.config")  # which tells of what changed while nobody was here to

    async def _push(self) -> None:
        with suppress(ChannelClosed):
            await keep_telling(self._link.channel.call, partial(self._link.peers.answer, METRICS, None))


class _Relayed(Reloader):
    """Has the supervisor reload all workers."""

    def __init__(
        self, channel: Channel, source: Source, live: Live, registry: Registry, *, cautious: bool
    ) -> None:
        super().__init__(source, live, registry, cautious=cautious)
        self._channel = channel

    async def reload(self, why: str) -> Reloaded:
        """As `Reloader.reload`. Where the supervisor stands still, what was changed in the store is taken
        over all the same, as by every other worker."""
        try:
            async with asyncio.timeout(SIGN_OF_LIFE):
                await self._channel.call("alive")
        except TimeoutError:
            return replace(await self.refresh(), unread=True)
        return Reloaded(**orjson.loads(await self._channel.call("reload", orjson.dumps(why))))


class Link:
    """The way to the supervisor, there before the worker is."""

    def __init__(self) -> None:
        self.channel: Channel
        self.peers: Linked
        self.worker: Worker | None = None

    async def open(self, sock: socket.socket) -> None:
        self.channel = await Channel.over(sock, self._answer)
        self.peers = Linked(self.channel)

    async def ask(self, message: bytes) -> bytes:
        """As `Site.ask`."""
        try:
            return await self.channel.call("store", message)
        except ChannelClosed as exc:
            raise StoreUnavailable("the supervising process has ended") from exc
        except CallFailed as exc:
            raise StoreUnavailable(f"the supervising process failed: {exc}") from exc

    async def _answer(self, topic: str, body: bytes) -> bytes:
        if self.worker is None:
            return b"null"
        return orjson.dumps(await self.worker.answer(topic, orjson.loads(body)))


async def _work(sock: socket.socket) -> int:
    end_with_supervisor()
    link = Link()
    await link.open(sock)
    registry = Registry.discover()
    try:
        worker = link.worker = Worker(link, orjson.loads(await link.channel.call("enlist")), registry)
        await worker.serve()
    except ChannelClosed:
        return 1
    except (ConfigError, MissingParser, CannotBind, OSError) as exc:
        with suppress(ChannelClosed):
            await link.channel.call("refused", orjson.dumps(cannot_start(exc)))
        return 1
    finally:
        link.channel.close()
    return 0


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(uvloop.run(_work(socket.socket(fileno=int(sys.argv[1])))))
