"""A whole answer at once, for calls that are neither streamed nor on the hot path."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.api.provider import Upstream
from gateway.upstream.client import Client
from gateway.upstream.failure import UpstreamFailure


@dataclass(frozen=True, slots=True)
class Answer:
    """What an upstream answered, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes = field(repr=False)


class Collector:
    """A receiver that keeps everything until the end."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        """Resolves to the whole answer, or raises `UpstreamFailure`."""
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._parts: list[bytes] = []

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        """See `Receiver`."""
        self._status, self._headers = status, headers

    def on_data(self, data: bytes) -> None:
        """See `Receiver`."""
        self._parts.append(data)

    def on_end(self) -> None:
        """See `Receiver`."""
        if not self.answer.done():
            self.answer.set_result(Answer(self._status, self._headers, b"".join(self._parts)))

    def on_fail(self, failure: UpstreamFailure) -> None:
        """See `Receiver`."""
        if not self.answer.done():
            self.answer.set_exception(failure)


async def collect(client: Client, request: Upstream, connect_timeout: float) -> Answer:
    """Send ``request`` and wait for its whole answer. Raises `UpstreamFailure`.

    If the wait is cancelled, the connection is closed at once.
    """
    collector = Collector()
    exchange = await client.send(request, collector, connect_timeout)
    try:
        return await collector.answer
    finally:
        exchange.abort()
