"""Host names to addresses: looked up off the event loop, shared, and remembered for a short while."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

from gateway.upstream.failure import FailureKind, UpstreamFailure

FRESH = 30.0
"""Seconds for which an answer is used without asking again."""
STALE = 300.0
"""Seconds for which an answer stands in where asking again fails."""

LookUp = Callable[[str], Awaitable[Sequence[str]]]
"""Takes a host name, returns its IP addresses in order of preference, raises `OSError` if it has none."""


class Resolver:
    """A cache in front of a look-up; the configured upstreams bound its size."""

    def __init__(self, look_up: LookUp | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """``look_up`` replaces the system's resolver."""
        self._look_up = look_up or _system_look_up
        self._clock = clock
        self._known: dict[str, tuple[float, Sequence[str]]] = {}
        self._pending: dict[str, asyncio.Task[Sequence[str]]] = {}

    async def resolve(self, host: str) -> Sequence[str]:
        """The addresses of ``host``, at least one. Raises `UpstreamFailure` (DNS) if there are none."""
        if _is_address(host):
            return (host,)
        addresses = self._remembered(host, FRESH)
        if not addresses:
            task = self._pending.get(host)
            if task is None:
                task = self._pending[host] = asyncio.create_task(self._refresh(host))
                task.add_done_callback(lambda _: self._pending.pop(host))
            # One caller's timeout must not take the answer from the others.
            addresses = await asyncio.shield(task)
        if not addresses:
            raise UpstreamFailure(FailureKind.DNS, "The upstream's host name has no address.")
        return addresses

    async def _refresh(self, host: str) -> Sequence[str]:
        try:
            addresses = await self._look_up(host)
        except (OSError, UnicodeError):
            addresses = ()
        if not addresses:
            return self._remembered(host, STALE)
        self._known[host] = (self._clock(), addresses)
        return addresses

    def _remembered(self, host: str, age: float) -> Sequence[str]:
        since, addresses = self._known.get(host, (0.0, ()))
        return addresses if self._clock() - since < age else ()


async def _system_look_up(host: str) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
