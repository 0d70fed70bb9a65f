"""The daemon: what it is made of, its signals, and its way down."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator

import uvloop

from gateway import __version__, systemd
from gateway.api import Site
from gateway.app import make_app
from gateway.build import build_config_store, build_plugins, build_runtime, build_store
from gateway.config.read import ConfigError, Loaded, read
from gateway.config.watch import Watcher
from gateway.listeners import CannotBind, Listeners
from gateway.logs import LogHandler, configure
from gateway.metrics import Metrics
from gateway.registry import Registry
from gateway.reload import Reloader, caution
from gateway.routing.memory import Memory
from gateway.routing.queue import Queue
from gateway.runtime import Live, most_in_flight
from gateway.server import Connection, MissingParser, Runner, Server
from gateway.sinks import open_log
from gateway.upstream.client import Client as UpstreamClient

log = logging.getLogger(__name__)

INVALID = 1
CANNOT_BIND = 3
IN_USE = 4
HURRY = 0.9
"""Seconds that what still runs gets once the time to drain is over, and again what is still to be closed."""


def run(path: str) -> int:
    """Serve the configuration at ``path`` until SIGTERM or SIGINT; the process's exit code."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # not even before there is anything to reload does it kill
    registry = Registry.discover()
    try:
        loaded = read(path, os.environ, registry.known())
        uvloop.run(Daemon(path, loaded, registry).serve())
    except (ConfigError, MissingParser) as exc:
        print(exc, file=sys.stderr)
        return INVALID
    except CannotBind as exc:
        print(exc, file=sys.stderr)
        return CANNOT_BIND
    except BlockingIOError as exc:  # a store's files, by another daemon
        print(f"cannot start: {exc}", file=sys.stderr)
        return IN_USE
    except OSError as exc:  # a store that cannot be opened
        print(f"cannot start: {exc}", file=sys.stderr)
        return INVALID
    return 0


class Daemon:
    """One running gateway. ``path`` is None where the configuration is not in a file (the demo)."""

    def __init__(self, path: str | None, loaded: Loaded, registry: Registry) -> None:
        self._path = path
        self._loaded = loaded
        self._registry = registry
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self.live: Live | None = None
        """The running gateway, once `serve` has made it."""
        self.addresses: list[str] = []
        """Where it listens, once it does."""
        self._reloader: Reloader | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._wanted: str | None = None
        """Who asked last for a reload that has not begun yet."""

    async def serve(self, started: asyncio.Event | None = None) -> None:
        """Start, serve until told to stop, drain. ``started`` is set once requests are served.

        Raises `ConfigError`, `CannotBind` or `OSError` if it cannot start.
        """
        config = self._loaded.config
        handler = configure(config.logging.level)
        with self._signals():
            live = self.live = await self._make_live(handler)
            reloader = self._reloader = Reloader(self._path, live, self._registry)
            runner = Runner(make_app(live, reloader), HURRY, lambda code: live.metrics.error("none", code))
            pinging = asyncio.create_task(_ping_watchdog())
            try:
                await runner.setup()
                listeners = Listeners(runner, config.server)
                await listeners.open()
                self.addresses = listeners.addresses
                log.info(
                    "listening", extra={"addresses": self.addresses, "config_version": live.current.version}
                )
                caution(self._loaded, live.current)
                with self._watching():
                    _tune_collector()
                    systemd.notify("READY=1")
                    if started is not None:
                        started.set()
                    await self._stop.wait()
                    assert isinstance(runner.server, Server)
                    await self._drain(live, runner.server, listeners)
            finally:
                await self._clean_up(runner)
                pinging.cancel()

    async def _make_live(self, handler: LogHandler) -> Live:
        config = self._loaded.config
        plugins = build_plugins(config, self._registry)
        metrics = Metrics(__version__)
        store = build_store(config, self._registry)
        memory = Memory(store)
        return Live(
            current=build_runtime(self._loaded, plugins, store, memory),
            store=store,
            site=Site(on_trouble=config.storage.on_trouble),
            config_store=build_config_store(config, self._registry),
            memory=memory,
            metrics=metrics,
            log=await open_log(plugins.sinks, handler, metrics, store),
            upstream=UpstreamClient(),
            queue=Queue(),
            max_inflight=most_in_flight(config.server),
        )

    def stop(self) -> None:
        """Begin to drain; a second call hurries."""
        (self._hurry if self._stop.is_set() else self._stop).set()

    async def stopping(self) -> None:
        """Wait until it is told to stop."""
        await self._stop.wait()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Heed signals from before the first request until all is cleaned up."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload, "SIGHUP")
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        if self._path is None:
            yield
            return
        watcher = Watcher(
            self._path, lambda: self._reload("file"), asyncio.get_running_loop(), self._loaded.digest
        )
        watcher.start()
        try:
            yield
        finally:
            watcher.stop()

    def _reload(self, why: str) -> None:
        """Reload soon. All who ask while one is running get one more between them."""
        self._wanted = why
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._reload_as_wanted())

    async def _reload_as_wanted(self) -> None:
        while self._wanted is not None and self._reloader is not None and not self._stop.is_set():
            why, self._wanted = self._wanted, None
            systemd.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
            await self._reloader.reload(why)
            systemd.notify("READY=1")

    async def _drain(self, live: Live, server: Server, listeners: Listeners) -> None:
        """No new connections; requests in flight end by themselves, or with an error event in the end."""
        live.draining = True
        systemd.notify("STOPPING=1")
        seconds = live.current.config.server.drain_timeout
        log.info("draining", extra={"in_flight": live.in_flight, "drain_timeout": seconds})
        await listeners.close()
        if live.in_flight:
            await _first_of(seconds, live.idle, self._hurry)
        for connection in server.connections:
            if isinstance(connection, Connection):
                connection.interrupt()
        if live.in_flight:
            await _first_of(HURRY, live.idle)
        log.info("stopped", extra={"in_flight": live.in_flight})

    async def _clean_up(self, runner: Runner) -> None:
        """Close everything; what is not closed in time once we hurry is left as it is."""
        cleaning = asyncio.create_task(runner.cleanup())
        hurrying = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({cleaning, hurrying}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({cleaning}, timeout=HURRY)
        hurrying.cancel()
        if cleaning.cancel():
            log.warning("stopped without waiting for everything to be written")
        else:
            cleaning.result()


async def _first_of(seconds: float, *events: asyncio.Event) -> None:
    """Wait until one of the events is set, but not longer than ``seconds``."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


async def _ping_watchdog() -> None:
    """Tell systemd that the event loop runs; only the loop itself can."""
    interval = systemd.watchdog_interval()
    while interval is not None:
        systemd.notify("WATCHDOG=1")
        await asyncio.sleep(interval / 2)


def _tune_collector() -> None:
    """What was made at the start stays: keep the garbage collector from walking it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
