"""New connections: look-up, TCP and TLS, every address tried, all within one timeout."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from gateway.upstream.connection import Connection
from gateway.upstream.failure import FailureKind, UpstreamFailure
from gateway.upstream.resolver import Resolver
from gateway.upstream.target import Origin

Factory = Callable[[], Connection]


class Dialer:
    """Opens connections; TLS is always verified."""

    def __init__(self, resolver: Resolver, ca_file: str | None) -> None:
        """``ca_file``: PEM certificates to trust besides the system's (or ``SSL_CERT_FILE``'s).

        Raises `OSError` (`ssl.SSLError` included) if it cannot be read.
        """
        self._resolver = resolver
        self._tls = ssl.create_default_context()
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._tls.set_alpn_protocols(["http/1.1"])
        if ca_file is not None:
            self._tls.load_verify_locations(cafile=ca_file)

    async def open(self, origin: Origin, timeout: float, factory: Factory) -> Connection:
        """A connection to ``origin`` within ``timeout`` seconds.

        Raises `UpstreamFailure` (CONNECT, DNS, TLS, TIMEOUT).
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout
        failure = _timed_out()
        try:
            async with asyncio.timeout_at(deadline):
                addresses = await self._resolver.resolve(origin.host)
        except TimeoutError:
            raise failure from None
        for left in range(len(addresses), 0, -1):
            # Each address gets its share of what is left, so that a dead first one leaves time for the next.
            share = (deadline - clock()) / left
            try:
                return await self._connect(origin, addresses[-left], share, factory)
            except UpstreamFailure as error:
                if error.kind is FailureKind.TLS:
                    raise
                failure = error
        raise failure

    async def _connect(self, origin: Origin, address: str, timeout: float, factory: Factory) -> Connection:
        tls = origin.scheme == "https"
        try:
            async with asyncio.timeout(timeout):
                _, connection = await asyncio.get_running_loop().create_connection(
                    factory,
                    address,
                    origin.port,
                    ssl=self._tls if tls else None,
                    server_hostname=origin.host if tls else None,
                )
        except TimeoutError:
            raise _timed_out() from None
        except ssl.SSLError as error:
            raise UpstreamFailure(
                FailureKind.TLS, f"The TLS handshake with the upstream failed: {_reason(error)}."
            ) from None
        except OSError:
            raise UpstreamFailure(FailureKind.CONNECT, "The upstream cannot be reached.") from None
        if connection.transport.is_closing():
            raise UpstreamFailure(FailureKind.CONNECT, "The upstream closed the connection at once.")
        return connection


def _timed_out() -> UpstreamFailure:
    return UpstreamFailure(FailureKind.TIMEOUT, "No connection to the upstream within the connect timeout.")


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        # After a comma OpenSSL names the host.
        return error.verify_message.partition(",")[0]
    return error.reason or "unknown reason"
