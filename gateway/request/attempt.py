"""One attempt at one upstream: sent, received, timed, and judged whole before anything is committed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from gateway.api import Chunk, Kind, Outcome, Provider, Reader, Upstream
from gateway.request.local import LocalClient, LocalExchange
from gateway.upstream.client import Client
from gateway.upstream.exchange import Exchange
from gateway.upstream.failure import FailureKind, UpstreamFailure

log = logging.getLogger(__name__)

MAX_ERROR_BODY = 64 * 1024
MAX_HELD = 256 * 1024
"""Bytes of a stream's lifecycle events that are held back until its first content."""

_UPSTREAM_ID_HEADERS = ("x-request-id", "request-id")


class Attempt:
    """Receives the answer to one request. Base of the two ways to do so: whole, and as a stream.

    `run` returns None if the answer is complete, else what went wrong.
    """

    def __init__(self, provider: Provider, reader: Reader) -> None:
        self._provider = provider
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Outcome | None] = self._loop.create_future()
        self._exchange: Exchange | LocalExchange | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._headers: Mapping[str, str] = {}
        self._error_body: bytearray | None = None
        self.reader = reader
        self.status = 0
        self.request_id: str | None = None

    async def run(
        self, client: Client | LocalClient, upstream: Upstream, connect: float, deadline: float
    ) -> Outcome | None:
        """Send and wait for the end. ``connect`` in seconds; ``deadline`` in loop time."""
        self._timer = self._loop.call_at(deadline, self._overdue)
        try:
            self._exchange = await client.send(upstream, self, connect)
            return await self._ended
        except UpstreamFailure as failure:
            return outcome_of(failure)
        finally:
            self._timer.cancel()
            if self._exchange is not None:
                self._exchange.abort()
            # Let go of each other: garbage that waits for the collector is memory that is never warm.
            self._exchange = self._timer = None

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self._headers = headers
        for name in _UPSTREAM_ID_HEADERS:
            value = headers.get(name)
            if value is not None and len(value) <= 128 and value.isascii() and value.isprintable():
                self.request_id = value
                break
        if not 200 <= status < 300:
            self._error_body = bytearray()
        elif not self._accepts(headers.get("content-type", "")):
            self._finish(
                Outcome(Kind.FAILED, status, "The provider answered with an unexpected content type.")
            )

    def on_data(self, data: bytes) -> None:
        if self._ended.done():
            return
        if self._error_body is None:
            try:
                self._take(data)
            except Exception:  # a plugin's bug fails its attempt, and nothing else
                log.exception("reader failed")
                self._finish(Outcome(Kind.INVALID, self.status, "The provider's answer could not be read."))
        elif len(self._error_body) < MAX_ERROR_BODY:
            self._error_body += data

    def on_end(self) -> None:
        if self._ended.done():
            return
        if self._error_body is not None:
            self._finish(self._provider.diagnose(self.status, self._headers, bytes(self._error_body)))
        else:
            self._complete()

    def on_fail(self, failure: UpstreamFailure) -> None:
        if self._error_body is not None:  # the status is known; how its body ended matters little
            self._finish(self._provider.diagnose(self.status, self._headers, bytes(self._error_body)))
        else:
            self._finish(outcome_of(failure))

    def _finish(self, outcome: Outcome | None) -> None:
        if not self._ended.done():
            self._ended.set_result(outcome)
            if self._exchange is not None and outcome is not None:
                self._exchange.abort()

    def _overdue(self) -> None:
        self._finish(Outcome(Kind.TIMEOUT, self.status, "The provider did not answer in time."))

    def _accepts(self, content_type: str) -> bool:
        raise NotImplementedError

    def _take(self, data: bytes) -> None:
        raise NotImplementedError

    def _complete(self) -> None:
        raise NotImplementedError


class WholeAttempt(Attempt):
    """An answer in one piece."""

    def __init__(self, provider: Provider, reader: Reader) -> None:
        super().__init__(provider, reader)
        self.chunks: list[Chunk] = []

    def _accepts(self, content_type: str) -> bool:
        return not content_type or "json" in content_type

    def _take(self, data: bytes) -> None:
        self.reader.feed(data)

    def _complete(self) -> None:
        self.chunks = self.reader.finish()
        self._finish(self.reader.fault)


class StreamAttempt(Attempt):
    """An answer in events. Nothing is handed on before its first content."""

    def __init__(
        self,
        provider: Provider,
        reader: Reader,
        *,
        deliver: Callable[[list[Chunk]], None],
        idle: float,
        latest: float,
    ) -> None:
        """``deliver`` gets chunks from the first content on. ``idle``: seconds a begun stream may stay
        silent; ``latest``: loop time at which it must be over."""
        super().__init__(provider, reader)
        self._deliver = deliver
        self._idle = idle
        self._latest = latest
        self._held: list[Chunk] = []
        self._held_bytes = 0
        self._last_event = 0.0
        self.committed = False

    def pause(self, blocked: bool) -> None:
        """Stop or go on reading the upstream, as the client can take it."""
        if self._exchange is not None:
            (self._exchange.pause if blocked else self._exchange.resume)()

    def _accepts(self, content_type: str) -> bool:
        return not content_type or "event-stream" in content_type

    def _take(self, data: bytes) -> None:
        chunks = self.reader.feed(data)
        fault = self.reader.fault
        if chunks and (fault is None or self.committed):
            self._hand_on(chunks)
        if fault is not None:
            self._finish(fault)

    def _hand_on(self, chunks: list[Chunk]) -> None:
        self._last_event = self._loop.time()
        if self.committed:
            self._deliver(chunks)
            return
        self._held += chunks
        self._held_bytes += sum(len(chunk.raw) for chunk in chunks)
        if any(chunk.content for chunk in chunks) or self._held_bytes > MAX_HELD:
            self._commit()

    def _commit(self) -> None:
        self.committed = True
        self._last_event = self._loop.time()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(self._last_event + self._idle, self._latest), self._overdue)
        held, self._held = self._held, []
        self._deliver(held)

    def _overdue(self) -> None:
        now = self._loop.time()
        due = min(self._last_event + self._idle, self._latest) if self.committed else now
        if due > now:
            self._timer = self._loop.call_at(due, self._overdue)
        else:
            super()._overdue()

    def _complete(self) -> None:
        chunks = self.reader.finish()
        if self.committed:
            self._deliver(chunks)
        elif self.reader.fault is None:
            self._held += chunks
            self._commit()
        self._finish(self.reader.fault)


def outcome_of(failure: UpstreamFailure) -> Outcome:
    """What a failure of the connection means: the upstream's fault, retried elsewhere."""
    kind = Kind.TIMEOUT if failure.kind is FailureKind.TIMEOUT else Kind.FAILED
    return Outcome(kind, 0, str(failure))
