"""Connections by origin: which are open, and which of them wait for their next request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from gateway.upstream.target import Origin

if TYPE_CHECKING:
    from gateway.upstream.connection import Connection


class Pool:
    """The connection used last is taken first, so that the surplus of a busy hour ages and goes."""

    def __init__(self, max_idle: float, max_age: float) -> None:
        """Seconds a connection may wait unused, and seconds after which it is not used again."""
        self._max_idle = max_idle
        self._max_age = max_age
        self._open: set[Connection] = set()
        self._idle: dict[Origin, dict[Connection, float]] = {}
        """The inner dicts serve as stacks from which anything can be removed; values: when to close."""
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._closed: asyncio.Event | None = None

    def register(self, connection: Connection) -> None:
        """A connection has been made; its end will be told."""
        self._open.add(connection)

    def unregister(self, connection: Connection) -> None:
        """A connection is gone."""
        self._open.discard(connection)
        if self._closed is not None and not self._open:
            self._closed.set()

    def take(self, origin: Origin) -> Connection | None:
        """An idle connection to ``origin``, now the caller's, or None."""
        idle = self._idle.get(origin)
        while idle:
            connection, expires = idle.popitem()
            if time.monotonic() < expires:
                return connection
            connection.transport.abort()
        return None

    def put(self, connection: Connection) -> None:
        """Keep ``connection`` for its next request, unless it is too old for one."""
        now = time.monotonic()
        expires = min(now + self._max_idle, connection.born + self._max_age)
        if expires <= now:
            connection.transport.abort()
            return
        idle = self._idle.get(connection.origin)
        if idle is None:
            idle = self._idle[connection.origin] = {}
        idle[connection] = expires
        if self._sweep_timer is None:
            self._sweep_timer = asyncio.get_running_loop().call_later(self._max_idle, self._sweep)

    def remove(self, connection: Connection) -> None:
        """Forget that ``connection`` is idle, if it is."""
        if idle := self._idle.get(connection.origin):
            idle.pop(connection, None)

    def retain(self, origins: Collection[Origin]) -> None:
        """Close the idle connections to all other origins."""
        for origin in self._idle.keys() - origins:
            for connection in self._idle.pop(origin):
                connection.transport.abort()

    async def close(self) -> None:
        """Close every connection, busy ones too, and wait until they are gone."""
        self._closed = asyncio.Event()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        self._idle.clear()
        for connection in tuple(self._open):
            connection.stop()
        if self._open:
            await self._closed.wait()

    def _sweep(self) -> None:
        now = time.monotonic()
        self._sweep_timer = None
        for origin, idle in list(self._idle.items()):
            for connection in [connection for connection, expires in idle.items() if expires <= now]:
                del idle[connection]
                connection.transport.abort()
            if not idle:
                del self._idle[origin]
        if self._idle:
            # Often enough that nothing stays much longer than it may; `take` is exact by itself.
            self._sweep_timer = asyncio.get_running_loop().call_later(self._max_idle / 4, self._sweep)
