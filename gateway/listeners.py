"""Where the gateway listens: TCP, Unix sockets, sockets from systemd; with or without TLS."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from aiohttp import web

from gateway import systemd
from gateway.acceptor import Acceptor, Share
from gateway.config.listen import Inherited, Tcp, Unix, parse
from gateway.config.problems import ConfigError, Problem
from gateway.config.schema import Server, Tls

log = logging.getLogger(__name__)

BACKLOG = 2048
RENEWAL_CHECK = 10.0


class CannotBind(Exception):
    """An address that cannot be listened on; the message says which and why."""

    def __init__(self, message: str, address: str = "") -> None:
        """``address``: as configured, if it is one that is."""
        super().__init__(message)
        self.address = address


def bind(config: Server) -> list[socket.socket]:
    """The sockets that the configuration, or systemd, says to listen on. Raises `CannotBind`."""
    try:
        sockets = systemd.listen_sockets()
    except OSError as exc:
        raise CannotBind(f"cannot use the sockets that were handed over: {_reason(exc)}") from exc
    addresses = [] if sockets else [config.listen]
    if config.admin_listen is not None:
        addresses.append(config.admin_listen)
    for address in addresses:
        try:
            sockets += _bound(address)
        except OSError as exc:
            raise CannotBind(f"cannot listen on {address}: {_reason(exc)}", address) from exc
    return sockets


def addresses(sockets: Iterable[socket.socket]) -> list[str]:
    """Where the sockets listen, in words."""
    return [_address(sock) for sock in sockets]


class Listeners:
    """Serves the sockets by a runner, and closes them first when the gateway stops."""

    def __init__(
        self,
        runner: web.BaseRunner,
        config: Server,
        *,
        sockets: Sequence[socket.socket] | None = None,
        share: Share | None = None,
        renewal_check: float = RENEWAL_CHECK,
    ) -> None:
        """``sockets``: what another process has bound, instead of binding them here; ``share``: how many of
        their connections are ours, where other processes accept as well; ``renewal_check``: seconds between
        two looks at the certificate's files."""
        self._runner = runner
        self._config = config
        self._sockets = sockets
        self._share = share
        self._renewal_check = renewal_check
        self._servers: list[asyncio.Server] = []
        self._acceptors: list[Acceptor] = []
        self._renewal: asyncio.TimerHandle | None = None
        self.addresses: list[str] = []

    async def open(self) -> None:
        """Raises `CannotBind`, or `ConfigError` for a certificate that cannot be used."""
        tls = self._config.tls
        context = None if tls is None else self._context(tls)
        sockets = bind(self._config) if self._sockets is None else self._sockets
        self.addresses = addresses(sockets)
        for sock in sockets:
            if self._share is None:
                self._servers.append(await self._serve(sock, context))
            else:
                self._acceptors.append(self._accept(sock, context, self._share))

    async def close(self) -> None:
        """Accept no further connections."""
        if self._renewal is not None:
            self._renewal.cancel()
        for server in self._servers:
            server.close()
        self._servers.clear()
        for acceptor in self._acceptors:
            await acceptor.close()
        self._acceptors.clear()

    async def _serve(self, sock: socket.socket, context: ssl.SSLContext | None) -> asyncio.Server:
        loop, made = asyncio.get_running_loop(), self._runner.server
        assert made is not None
        if sock.family == socket.AF_UNIX:
            return await loop.create_unix_server(made, sock=sock, backlog=BACKLOG)
        return await loop.create_server(made, sock=sock, ssl=context, backlog=BACKLOG)

    def _accept(self, sock: socket.socket, context: ssl.SSLContext | None, share: Share) -> Acceptor:
        made = self._runner.server
        assert made is not None
        acceptor = Acceptor(sock, made, lambda: len(made.connections), share, context)
        acceptor.open()
        return acceptor

    def _context(self, tls: Tls) -> ssl.SSLContext:
        """A TLS context that takes a renewed certificate by itself."""
        context = context_of(tls)
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
                log.warning("renewed certificate cannot be used", extra={"reason": _unusable(tls, exc)})
        loop = asyncio.get_running_loop()
        self._renewal = loop.call_later(self._renewal_check, self._watch_renewal, context, tls, now)


def context_of(tls: Tls) -> ssl.SSLContext:
    """What to serve TLS with. Raises `ConfigError` for a certificate that cannot be used."""
    try:
        return _server_context(tls)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError([Problem("server.tls", None, _unusable(tls, exc))]) from exc


def _server_context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if tls.min_version == "1.3" else ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.cert_file, tls.key_file, password="")  # never ask on the terminal
    return context


def _unusable(tls: Tls, exc: OSError) -> str:
    for path in (tls.cert_file, tls.key_file):
        if not os.access(path, os.R_OK):
            return f"cannot read {path}"
    reason = getattr(exc, "reason", None) or "not a certificate and its unencrypted key in PEM"
    return f"cannot use {tls.cert_file} with {tls.key_file}: {reason.replace('_', ' ').lower()}"


def _stamp(tls: Tls) -> tuple[object, ...]:
    def of(path: str) -> tuple[int, int, int]:
        try:
            found = Path(path).stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    return (of(tls.cert_file), of(tls.key_file))


def _bound(address: str) -> list[socket.socket]:
    match parse(address):
        case Inherited():
            raise CannotBind(f"cannot listen on {address}: no sockets were handed over (LISTEN_FDS is unset)")
        case Unix(path):
            _make_room(path, address)
            return [_listening(socket.AF_UNIX, path)]
        case Tcp(host, port):
            return _bound_tcp(host, port)


def _bound_tcp(host: str | None, port: int) -> list[socket.socket]:
    """One socket for each of the host's addresses that this machine has; raises `OSError` if it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, address in dict.fromkeys((info[0], info[4]) for info in found):
        try:
            sockets.append(_listening(family, address))
        except OSError as exc:
            if exc.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):  # IPv6 switched off, mostly
                for sock in sockets:
                    sock.close()
                raise
            missing = exc
    if missing is not None and not sockets:
        raise missing
    return sockets


def _listening(family: int, address: object) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)  # type: ignore[arg-type]  # whatever the family's addresses look like
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _make_room(path: str, address: str) -> None:
    """Remove a dead process's socket. Raises `CannotBind` if the path is anything else that exists."""
    try:
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return  # nothing there, or binding will say what is wrong
    if not is_socket:
        raise CannotBind(f"cannot listen on {address}: there is a file of this name")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            os.unlink(path)
        else:
            raise CannotBind(f"cannot listen on {address}: {os.strerror(errno.EADDRINUSE)}")


def _reason(exc: OSError) -> str:
    if isinstance(exc, socket.gaierror) or not exc.errno:
        return exc.strerror or str(exc)
    return os.strerror(exc.errno)


def _address(sock: socket.socket) -> str:
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{name}"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
