"""The daemon: what it is made of, its signals, and its way down."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Iterator

import uvloop

from gateway import __version__, systemd
from gateway.app import make_app
from gateway.build import build_runtime
from gateway.config.cautions import unserved
from gateway.config.read import ConfigError, Loaded, read
from gateway.config.watch import Watcher
from gateway.listeners import CannotBind, Listeners
from gateway.logs import LogHandler, configure
from gateway.metrics import Metrics
from gateway.registry import PluginError, Registry
from gateway.reload import Reloader
from gateway.routing.memory import Memory
from gateway.routing.queue import Queue
from gateway.runtime import Live
from gateway.server import Connection, MissingParser, Runner, Server
from gateway.sinks import build_sinks, open_log
from gateway.upstream.client import Client as UpstreamClient

log = logging.getLogger(__name__)

INVALID = 1
CANNOT_BIND = 3
FILES_PER_REQUEST = 2
"""A connection from the client and one to the upstream."""
HURRY = 2.0
"""Seconds that everything still running gets once the time to drain is over."""


def run(path: str) -> int:
    """Serve the configuration at ``path`` until SIGTERM or SIGINT; the process's exit code."""
    registry = Registry.discover()
    try:
        loaded = read(path, os.environ, registry.known())
        uvloop.run(Daemon(path, loaded, registry).serve())
    except (ConfigError, PluginError, MissingParser) as exc:
        print(exc, file=sys.stderr)
        return INVALID
    except CannotBind as exc:
        print(exc, file=sys.stderr)
        return CANNOT_BIND
    except OSError as exc:
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
        self._reloads: set[asyncio.Task[None]] = set()

    async def serve(self, started: asyncio.Event | None = None) -> None:
        """Start, serve until told to stop, drain. ``started`` is set once requests are served.

        Raises `PluginError`, `CannotBind` or `OSError` if it cannot start.
        """
        config = self._loaded.config
        handler = configure(config.logging.level)
        live = self.live = self._make_live(handler)
        reloader = Reloader(self._path, live, self._registry)
        runner = Runner(make_app(live, reloader), HURRY)
        await runner.setup()
        listeners = Listeners(runner, config.server)
        try:
            await listeners.open()
            self._announce(live, listeners.addresses)
            with self._signals(reloader), self._watching(reloader):
                _tune_collector()
                systemd.notify("READY=1")
                pinging = asyncio.create_task(_ping_watchdog())
                if started is not None:
                    started.set()
                await self._stop.wait()
                pinging.cancel()
                assert isinstance(runner.server, Server)
                await self._drain(live, runner.server, listeners)
        finally:
            await runner.cleanup()

    def _make_live(self, handler: LogHandler) -> Live:
        config = self._loaded.config
        metrics = Metrics(__version__)
        sinks = build_sinks(config.logging, self._registry, handler)
        store = self._registry.build("stores", "memory", {}, "storage.runtime")
        memory = Memory(store)
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return Live(
            current=build_runtime(self._loaded, store, memory, self._registry),
            store=store,
            memory=memory,
            metrics=metrics,
            log=open_log(sinks, handler, metrics, store),
            upstream=UpstreamClient(),
            queue=Queue(),
            max_inflight=config.server.max_inflight or max(files // FILES_PER_REQUEST - 64, 16),
        )

    def stop(self) -> None:
        """Begin to drain."""
        self._stop.set()

    def _announce(self, live: Live, addresses: list[str]) -> None:
        config = live.current.config
        log.info("listening", extra={"addresses": addresses, "config_version": live.current.version})
        for warning in self._loaded.warnings:
            log.warning(warning)
        if missing := unserved(config):
            log.warning("accepted but not served by this version", extra={"settings": missing})
        if config.server.allow_anonymous or not live.current.clients.exist:
            whom = "everyone" if config.server.allow_anonymous else "this machine"
            log.warning("anonymous access is on", extra={"open_to": whom})

    @contextlib.contextmanager
    def _signals(self, reloader: Reloader) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_or_hurry)
        loop.add_signal_handler(signal.SIGHUP, self._reload, reloader, "SIGHUP")
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    @contextlib.contextmanager
    def _watching(self, reloader: Reloader) -> Iterator[None]:
        if self._path is None:
            yield
            return
        loop = asyncio.get_running_loop()
        watcher = Watcher(self._path, lambda: self._reload(reloader, "file"), loop)
        watcher.start()
        try:
            yield
        finally:
            watcher.stop()

    def _stop_or_hurry(self) -> None:
        (self._hurry if self._stop.is_set() else self._stop).set()

    def _reload(self, reloader: Reloader, why: str) -> None:
        async def reload() -> None:
            systemd.notify("RELOADING=1")
            await reloader.reload(why)
            systemd.notify("READY=1")

        task = asyncio.get_running_loop().create_task(reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

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
