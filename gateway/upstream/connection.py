"""One connection to an upstream: an asyncio protocol that carries one exchange at a time."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from gateway.upstream.exchange import Exchange
from gateway.upstream.failure import FailureKind, UpstreamFailure
from gateway.upstream.parser import Parser
from gateway.upstream.target import Origin

if TYPE_CHECKING:
    from gateway.upstream.pool import Pool

log = logging.getLogger(__name__)

JOINED = 65536
"""Bytes of a body up to which it is cheaper to copy it behind the head than to write twice."""

PIECES = 4
"""Of a form, that are sent at once."""
MUCH = 65536
"""Bytes of one read behind which there is probably more."""

Redial = Callable[[Exchange, Origin], None]


class Connection(asyncio.Protocol):
    """Belongs to its exchange, to the pool's idle ones, or, closed, to nobody."""

    __slots__ = (
        "_clogged",
        "_exchange",
        "_parser",
        "_pieces",
        "_pool",
        "_redial",
        "_turn",
        "born",
        "origin",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, origin: Origin, pool: Pool, parser: Parser, redial: Redial) -> None:
        """``redial`` takes an exchange whose request this connection can no longer have delivered."""
        self.origin = origin
        self.born = time.monotonic()
        self._pool = pool
        self._parser = parser
        self._redial = redial
        self._exchange: Exchange | None = None
        self._pieces: Iterator[bytes] | None = None
        """What is still to be sent of a form."""
        self._turn: asyncio.Handle | None = None
        """The next go at it."""
        self._clogged = False
        """The upstream does not read as fast as we write."""

    def start(self, exchange: Exchange) -> None:
        """Send the request of ``exchange``; its receiver hears the answer."""
        self._exchange = exchange
        exchange.connection = self
        self._parser.begin(exchange.receiver, exchange.bodiless)
        transport = self.transport
        if exchange.paused:
            transport.pause_reading()
        if exchange.form is not None:
            transport.write(exchange.head)
            self._pieces = exchange.form.pieces()
            self._send_pieces()
        elif len(exchange.body) > JOINED:
            transport.write(exchange.head)
            transport.write(exchange.body)
        else:
            transport.write(exchange.head + exchange.body)

    def pause_writing(self) -> None:
        """Called by the event loop: the upstream reads more slowly than we write."""
        self._clogged = True

    def resume_writing(self) -> None:
        """Called by the event loop."""
        self._clogged = False
        self._send_pieces()

    def _send_pieces(self) -> None:
        """Go on with the form, until it has gone out or the upstream has enough, and let others have their
        turns meanwhile. An answer that comes before all is sent is heard first: the upstream may close the
        connection behind it, and whatever is written then resets it."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        try:
            for _ in range(PIECES):
                if self._pieces is None or self._clogged:
                    return
                if self._unheard():
                    break
                if piece := next(self._pieces, b""):
                    self.transport.write(piece)
                else:
                    self._pieces = None
            self._turn = asyncio.get_running_loop().call_soon(self._send_pieces)
        except OSError as exc:  # of the disk that the form is on
            log.error("an upload cannot be read back", extra={"error": str(exc)})
            self._fail(UpstreamFailure(FailureKind.RESET, "The upload could not be read back."))

    def _unheard(self) -> bool:
        """Whether the event loop is about to read something, be it the end."""
        assert self._exchange is not None
        if self._exchange.paused:
            return False
        sock = self.transport.get_extra_info("socket")
        if sock is None:  # TLS has lost it, and will say so
            return True
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))

    def abort(self) -> None:
        """Close the socket at once. The receiver, if there is one, hears nothing more."""
        if self._exchange is not None:
            self._parser.mute()
            self._detach(self._exchange)
        self.transport.abort()

    def stop(self) -> None:
        """Close the socket at once. The receiver, if there is one, hears a failure."""
        self._fail(
            UpstreamFailure(FailureKind.RESET, "The gateway is stopping.", answered=self._parser.answered)
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self.transport = cast(asyncio.Transport, transport)
        # Both asyncio and uvloop set TCP_NODELAY by themselves.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        exchange = self._exchange
        if exchange is None:
            # An answer to nothing: never to be taken for the answer to the next request.
            self.transport.abort()
            return
        try:
            complete = self._parser.feed(data)
        except UpstreamFailure as failure:
            self._fail(failure)
        else:
            if complete:
                self._finish()
            elif len(data) >= MUCH:
                self._give_way()

    def _give_way(self) -> None:
        """Read no more before others had their turn: the event loop would read one socket many times over."""
        self.transport.pause_reading()
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        exchange = self._exchange
        if not self.transport.is_closing() and (exchange is None or not exchange.paused):
            self.transport.resume_reading()

    def eof_received(self) -> None:
        """Called by the event loop; `connection_lost` follows."""
        # Not `close`, which would wait for the upstream to read the rest of a request it has given up.
        self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        if error is not None:
            self._hear_out()
        self._end(clean=error is None)
        self._pool.unregister(self)
        # The parser holds our callbacks: without this every connection would wait for the cycle collector.
        del self._parser

    def _hear_out(self) -> None:
        """Read what the socket still holds. After an error in writing the event loop does not, and it may be
        the answer of an upstream that did not want to read all of the request. What TLS holds is lost."""
        if self.origin.scheme == "https":
            return
        descriptor = self.transport.get_extra_info("socket").fileno()
        try:
            while self._exchange is not None and (data := os.read(descriptor, MUCH // 2)):
                self.data_received(data)
        except OSError:
            pass  # nothing more is there

    def _end(self, clean: bool) -> None:
        exchange = self._exchange
        if exchange is None:
            self._pool.remove(self)
        elif exchange.reused and not self._parser.answered:
            # The upstream closed an idle connection just as we used it: nobody's fault, try a fresh one.
            self._detach(exchange)
            self._redial(exchange, self.origin)
        else:
            try:
                self._parser.end(clean)
            except UpstreamFailure as failure:
                self._fail(failure)
            else:
                self._finish()

    def _finish(self) -> None:
        exchange, sending = self._exchange, self._pieces
        if exchange is None:
            return
        self._detach(exchange)
        # A request still being written means that the upstream answered early; it will not read on for long.
        written = sending is None and not self.transport.get_write_buffer_size()
        if self._parser.reusable and written:
            if exchange.paused:
                self.transport.resume_reading()
            self._pool.put(self)
        else:
            self.transport.abort()
        exchange.receiver.on_end()

    def _fail(self, failure: UpstreamFailure) -> None:
        exchange = self._exchange
        self.transport.abort()
        if exchange is not None:
            self._parser.mute()
            self._detach(exchange)
            exchange.receiver.on_fail(failure)

    def _detach(self, exchange: Exchange) -> None:
        self._exchange = exchange.connection = self._pieces = None
