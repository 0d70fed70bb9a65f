"""The daemon: what it is made of, its signals, and its way down."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial

import uvloop

from gateway import __version__, interpreter, systemd
from gateway.acceptor import Share
from gateway.api import Site
from gateway.app import make_app
from gateway.build import build_managed, build_runtime, journal_folder
from gateway.config.cautions import own_secrets
from gateway.config.problems import opening
from gateway.config.read import ConfigError, Loaded, fetch, load, read
from gateway.controls import Controls
from gateway.first_of import first_of
from gateway.instances import build_plugins, installed
from gateway.ledger.journal import Journal
from gateway.listeners import CannotBind, Listeners
from gateway.logs import LogHandler, complain, configure
from gateway.managed import ManagedConfig
from gateway.metrics import Metrics
from gateway.peers import Alone, Peers
from gateway.registry import Registry
from gateway.reload import Reloaded, Reloader, caution, told
from gateway.revert import advice
from gateway.routing.memory import Memory
from gateway.routing.queue import Queue
from gateway.runner import MissingParser, Runner
from gateway.runtime import Live, most_in_flight
from gateway.scrape import serve_snapshots
from gateway.server import LATECOMERS, Connection, Server
from gateway.sinks import open_log
from gateway.upstream.client import Client as UpstreamClient
from gateway.workers.crew import GaveUp
from gateway.workers.reloading import Beginning
from gateway.workers.supervisor import Supervisor

log = logging.getLogger(__name__)

INVALID = 1
CANNOT_BIND = 3
IN_USE = 4
"""Exit codes: the configuration cannot be used, or an address, or the files that another daemon has open."""
CLOSING = 15.0
"""Seconds beyond ``drain_timeout`` that everything may take to be closed."""
HURRY = 0.9
"""Seconds that what still runs gets once the time to drain is over, and again what is still to be closed."""


def run(path: str) -> int:
    """Serve the configuration at ``path`` until SIGTERM or SIGINT; the process's exit code."""
    try:
        return uvloop.run(_serve(path, Registry.discover()))
    except (ConfigError, MissingParser, CannotBind, GaveUp, OSError) as exc:
        message, code = cannot_start(exc)
        complain(message)
        return code


async def _serve(path: str, registry: Registry) -> int:
    """As one process or as several: what the admin API has set is read before anything is started."""
    content = fetch(path)
    file = load(content, os.environ, installed(registry))
    configure(file.config.logging.level)
    source = path if content.lasts else None
    daemon = Daemon(source, file, registry)
    managed, loaded = await daemon.prepare()
    workers = loaded.config.server.workers
    count = len(os.sched_getaffinity(0)) if workers == "auto" else int(workers)
    try:
        if count == 1:
            await daemon.serve()
            return 0
        await managed.store.close()
        overlay = managed.managed.overlay if managed.managed is not None and not loaded.refused else {}
        return await Supervisor(source, Beginning(content, overlay, loaded), registry, count).serve()
    except CannotBind as exc:
        mending = advice(path, file.config.server, loaded.config.server, exc.address)
        raise CannotBind(f"{exc}{mending}") from exc


def cannot_start(exc: Exception) -> tuple[str, int]:
    """What to tell the operator, and the exit code. An `OSError` is a store's that cannot be opened."""
    match exc:
        case CannotBind():
            return str(exc), CANNOT_BIND
        case GaveUp():
            return str(exc), exc.code
        case BlockingIOError():
            return f"cannot start: {exc}", IN_USE
        case OSError(filename=str(name), strerror=str(reason)):
            return f"cannot start: {name}: {reason}", INVALID
        case OSError():
            return f"cannot start: {exc}", INVALID
        case _:
            return str(exc), INVALID


class Daemon:
    """One running gateway. ``path`` is None where the configuration is in no file that can be read again."""

    def __init__(self, path: str | None, loaded: Loaded, registry: Registry) -> None:
        self._path = path
        self._file = self._loaded = loaded
        self._managed: ManagedConfig | None = None
        self._registry = registry
        self._controls = Controls(self._reload)
        self.live: Live | None = None
        """The running gateway, once `serve` has made it."""
        self.addresses: list[str] = []
        """Where it listens, once it does."""
        self._reloader: Reloader | None = None

    async def serve(self, started: asyncio.Event | None = None) -> None:
        """Start, serve until told to stop, drain. ``started`` is set once requests are served.

        Raises `ConfigError`, `CannotBind` or `OSError` if it cannot start.
        """
        handler = configure(self._loaded.config.logging.level)
        with self._heeding():
            live = self.live = await self._make_live(handler)
            reloader = self._reloader = await self._make_reloader(live)
            runner = Runner(make_app(live, reloader), HURRY, lambda code: live.metrics.error("none", code))
            pinging = asyncio.create_task(systemd.keep_watchdog())
            followed = partial(self._controls.reload, "storage.config")
            following = asyncio.create_task(live.managed.follow(followed))
            try:
                await runner.setup()
                listeners = Listeners(
                    runner, self._loaded.config.server, sockets=self._sockets(), share=self._share()
                )
                await listeners.open()
                self.addresses = listeners.addresses
                with self._watching():
                    await self._announce(live)
                    interpreter.tune()
                    if started is not None:
                        started.set()
                    await self._controls.stopping.wait()
                    assert isinstance(runner.server, Server)
                    await self._drain(live, runner.server, listeners)
            finally:
                following.cancel()
                await self._clean_up(runner)
                pinging.cancel()

    async def prepare(self) -> tuple[ManagedConfig, Loaded]:
        """Read, once, what is set through the admin API; the configuration to begin with.

        Raises `ConfigError` or `OSError` if that is kept where nothing can be.
        """
        if self._managed is None:
            self._managed = build_managed(self._file, self._read, self._registry)
            with opening("storage.config"):
                await self._managed.store.open()
            self._loaded = await self._managed.load(again=False)
        return self._managed, self._loaded

    async def _make_live(self, handler: LogHandler) -> Live:
        managed, loaded = await self.prepare()
        config = loaded.config
        logging.getLogger().setLevel(config.logging.level.upper())
        handler.hide(own_secrets(config))
        plugins = build_plugins(config, self._registry)
        metrics = Metrics(__version__)
        managed.failed = partial(metrics.store_error, "config")
        memory = Memory(plugins.store)
        live = Live(
            current=build_runtime(loaded, plugins, plugins.store, memory),
            store=plugins.store,
            site=Site(
                holder=secrets.token_hex(8),
                on_trouble=config.storage.on_trouble,
                cache_entries=config.policy.cache.max_entries,
                folder=journal_folder(config),
                failed=partial(metrics.store_error, config.storage.runtime.type),
                heard=memory.hear,
            ),
            managed=managed,
            memory=memory,
            metrics=metrics,
            log=await open_log(plugins.sinks, handler, metrics),
            journal=Journal(journal_folder(config), metrics.journal_event),
            upstream=UpstreamClient(),
            queue=Queue(),
            hide=handler.hide,
            peers=self._peers(),
            max_inflight=most_in_flight(config.server),
            reload_errors=told(loaded.refused),
        )
        serve_snapshots(live)
        return live

    def _read(self) -> Loaded:
        return self._file if self._path is None else read(self._path, os.environ, installed(self._registry))

    def stop(self) -> None:
        """Begin to drain; a second call hurries."""
        self._controls.stop()

    async def stopping(self) -> None:
        """Wait until it is told to stop."""
        await self._controls.stopping.wait()

    def _heeding(self) -> AbstractContextManager[None]:
        """While it lasts, signals are heeded."""
        return self._controls.signals()

    def _watching(self) -> AbstractContextManager[None]:
        """While it lasts, the file's changes are."""
        return self._controls.watching(self._path, self._loaded.digest)

    def _sockets(self) -> Sequence[socket.socket] | None:
        """What to listen on; None: as the configuration says."""
        return None

    def _share(self) -> Share | None:
        """How many of the connections are ours; None: all."""
        return None

    def _peers(self) -> Peers:
        """This process and its like."""
        return Alone()

    async def _make_reloader(self, live: Live) -> Reloader:
        return Reloader(live.managed.load, live, self._registry)

    async def _reload(self, why: str) -> Reloaded:
        return Reloaded() if self._reloader is None else await self._reloader.reload(why)

    async def _announce(self, live: Live) -> None:
        """Requests are served: say so to all who wait for it."""
        log.info("listening", extra={"addresses": self.addresses, "config_version": live.current.version})
        caution(self._loaded, live.current)
        live.ready = True
        systemd.notify("READY=1")

    async def _drain(self, live: Live, server: Server, listeners: Listeners) -> None:
        """No new connections; requests in flight end by themselves, or with an error event in the end."""
        live.draining = True
        server.leave()
        systemd.notify("STOPPING=1")
        seconds = live.current.config.server.drain_timeout
        systemd.extend_timeout(seconds + CLOSING)
        log.info("draining", extra={"in_flight": live.in_flight, "drain_timeout": seconds})
        await listeners.close()
        await asyncio.sleep(0)  # what was accepted becomes a connection
        await self._answer(live, server, seconds)
        for connection in server.connections:
            if isinstance(connection, Connection):
                connection.interrupt()
        if live.in_flight:
            await first_of(HURRY, live.idle)
        log.info("stopped", extra={"in_flight": live.in_flight})

    async def _answer(self, live: Live, server: Server, seconds: float) -> None:
        """Let those be answered who have asked or are about to; twice, for who had a stream may ask again."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        for _ in range(2):
            latest = min(LATECOMERS, deadline - clock())
            await first_of(latest, server.expected.none, self._controls.hurrying)
            if not live.in_flight:
                break
            live.idle.clear()
            await first_of(deadline - clock(), live.idle, self._controls.hurrying)

    async def _clean_up(self, runner: Runner) -> None:
        """Close everything; what is not closed in time, or soon once we hurry, is left as it is."""
        cleaning = asyncio.create_task(runner.cleanup())
        hurrying = asyncio.create_task(self._controls.hurrying.wait())
        patience = CLOSING - 2 * HURRY  # one was for what still ran, one is yet to come
        await asyncio.wait({cleaning, hurrying}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({cleaning}, timeout=HURRY)
        hurrying.cancel()
        if cleaning.cancel():
            log.warning("stopped without waiting for everything to be written")
        else:
            cleaning.result()
