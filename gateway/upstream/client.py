"""The client: takes a request, finds it a connection, and lets the answer be pushed to its receiver."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from gateway.api.provider import Upstream
from gateway.upstream.connection import Connection
from gateway.upstream.dialer import Dialer
from gateway.upstream.exchange import Exchange
from gateway.upstream.failure import FailureKind, UpstreamFailure
from gateway.upstream.head import HeadWriter
from gateway.upstream.parser import Parser
from gateway.upstream.pool import Pool
from gateway.upstream.receiver import Receiver
from gateway.upstream.resolver import LookUp, Resolver
from gateway.upstream.target import Origin, parse

MIB = 1024 * 1024


class Client:
    """An HTTP/1.1 client for one event loop. Redirects are answers like any other; there are no cookies."""

    def __init__(
        self,
        *,
        max_body: int = 32 * MIB,
        max_idle: float = 55.0,
        max_age: float = 600.0,
        ca_file: str | None = None,
        look_up: LookUp | None = None,
    ) -> None:
        """Make a client; it opens nothing before it is used.

        ``max_body``: bytes of a decoded answer (uncompressed event streams: any number);
        ``max_idle``, ``max_age``: seconds after which a connection is not used again, since its last
        answer and since it was made; ``ca_file``: certificates to trust besides the system's;
        ``look_up``: used in place of the system's resolver. Raises `OSError` for a bad ``ca_file``.
        """
        self._max_body = max_body
        self._heads = HeadWriter()
        self._pool = Pool(max_idle, max_age)
        self._dialer = Dialer(Resolver(look_up), ca_file)
        self._redials: set[asyncio.Task[None]] = set()

    async def send(self, request: Upstream, receiver: Receiver, connect_timeout: float) -> Exchange:
        """Send ``request`` and return without waiting for its answer, which goes to ``receiver``.

        ``connect_timeout`` is in seconds and counts only where a connection has to be made. Raises
        `UpstreamFailure`: CONNECT, DNS, TLS or TIMEOUT if none can be, INVALID if the request
        cannot be written as HTTP; the receiver then hears nothing.
        """
        target = self._heads.target(request.url)
        exchange = Exchange(self._heads.write(request, target), request.body, receiver, connect_timeout)
        exchange.form = request.form
        connection = self._pool.take(target.origin)
        if connection is None:
            connection = await self._open(target.origin, connect_timeout)
        else:
            exchange.reused = True
        connection.start(exchange)
        return exchange

    def retain(self, urls: Collection[str]) -> None:
        """Close the idle connections to all origins but those of ``urls`` (base URLs will do)."""
        self._pool.retain({parse(url).origin for url in urls})

    async def close(self) -> None:
        """Close every connection; receivers still waiting hear a failure (RESET)."""
        for task in self._redials:
            task.cancel()
        await asyncio.gather(*self._redials, return_exceptions=True)
        await self._pool.close()

    async def _open(self, origin: Origin, timeout: float) -> Connection:
        connection = await self._dialer.open(
            origin, timeout, lambda: Connection(origin, self._pool, Parser(self._max_body), self._redial)
        )
        # Not before it is ours: of one that is given up while it is made uvloop reports no end.
        self._pool.register(connection)
        return connection

    def _redial(self, exchange: Exchange, origin: Origin) -> None:
        exchange.reused = False
        task = exchange.redial = asyncio.get_running_loop().create_task(self._send_again(exchange, origin))
        self._redials.add(task)
        task.add_done_callback(self._redials.discard)

    async def _send_again(self, exchange: Exchange, origin: Origin) -> None:
        try:
            connection = await self._open(origin, exchange.connect_timeout)
        except UpstreamFailure as failure:
            exchange.receiver.on_fail(failure)
        except asyncio.CancelledError:
            if not exchange.aborted:
                exchange.receiver.on_fail(UpstreamFailure(FailureKind.RESET, "The gateway is stopping."))
            raise
        else:
            connection.start(exchange)
