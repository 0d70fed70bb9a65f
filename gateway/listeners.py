"""Where the gateway listens: TCP, Unix sockets, sockets from systemd; with or without TLS."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import stat
from pathlib import Path

from aiohttp import web

from gateway import systemd
from gateway.config.listen import Inherited, Tcp, Unix, parse
from gateway.config.schema import Server, Tls

log = logging.getLogger(__name__)

BACKLOG = 2048
RENEWAL_CHECK = 10.0
"""Seconds between two looks at the certificate's files."""


class CannotBind(Exception):
    """An address that cannot be listened on; the message says which and why."""


class Listeners:
    """Opens the configured addresses on a runner, and closes them first when the gateway stops."""

    def __init__(self, runner: web.BaseRunner, config: Server) -> None:
        self._runner = runner
        self._config = config
        self._sites: list[web.BaseSite] = []
        self._renewal: asyncio.TimerHandle | None = None
        self.addresses: list[str] = []

    async def open(self) -> None:
        """Raises `CannotBind`."""
        config = self._config
        context = None
        if config.tls is not None:
            context = self._context(config.tls)
        inherited = systemd.listen_sockets()
        if inherited:
            for sock in inherited:
                await self._start(web.SockSite(self._runner, sock, ssl_context=context), "inherited socket")
        else:
            await self._listen(config.listen, context)
        if config.admin_listen is not None:
            await self._listen(config.admin_listen, context)

    async def close(self) -> None:
        """Accept no further connections."""
        if self._renewal is not None:
            self._renewal.cancel()
        for site in self._sites:
            await site.stop()
        self._sites.clear()

    async def _listen(self, address: str, context: ssl.SSLContext | None) -> None:
        match parse(address):
            case Inherited():
                raise CannotBind(
                    f"cannot listen on {address}: no sockets were handed over (LISTEN_FDS is unset)"
                )
            case Unix(path):
                await self._start(self._unix_site(path, context), address)
            case Tcp(host, port):
                site = web.TCPSite(self._runner, host, port, ssl_context=context, backlog=BACKLOG)
                await self._start(site, address)

    def _unix_site(self, path: str, context: ssl.SSLContext | None) -> web.BaseSite:
        """A stale socket of a dead process is replaced; anything else in its place is not."""
        try:
            if stat.S_ISSOCK(os.lstat(path).st_mode) and not _answers(path):
                os.unlink(path)
        except OSError:
            pass  # nothing there, or binding will say what is wrong
        return web.UnixSite(self._runner, path, ssl_context=context, backlog=BACKLOG)

    async def _start(self, site: web.BaseSite, address: str) -> None:
        try:
            await site.start()
        except OSError as exc:
            raise CannotBind(f"cannot listen on {address}: {os.strerror(exc.errno or 0)}") from exc
        self._sites.append(site)
        self.addresses.append(address)

    def _context(self, tls: Tls) -> ssl.SSLContext:
        """A TLS context that takes a renewed certificate by itself."""
        try:
            context = _server_context(tls)
        except (OSError, ssl.SSLError) as exc:
            raise CannotBind(f"server.tls: cannot use {tls.cert_file}: {exc}") from exc
        self._watch_renewal(context, tls, _stamp(tls))
        return context

    def _watch_renewal(self, context: ssl.SSLContext, tls: Tls, seen: tuple[object, ...]) -> None:
        now = _stamp(tls)
        if now != seen:
            try:
                _server_context(tls)  # a pair that does not fit must not touch the context in use
                context.load_cert_chain(tls.cert_file, tls.key_file)
                log.info("certificate renewed", extra={"cert_file": tls.cert_file})
            except (OSError, ssl.SSLError) as exc:
                now = seen  # half-written, maybe: look again
                log.warning("renewed certificate cannot be used", extra={"reason": str(exc)})
        loop = asyncio.get_running_loop()
        self._renewal = loop.call_later(RENEWAL_CHECK, self._watch_renewal, context, tls, now)


def _server_context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if tls.min_version == "1.3" else ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


def _stamp(tls: Tls) -> tuple[object, ...]:
    def of(path: str) -> tuple[int, int, int]:
        try:
            found = Path(path).stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    return (of(tls.cert_file), of(tls.key_file))


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True
