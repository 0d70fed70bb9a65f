"""One attempt at one upstream: sent, received, timed, and judged whole before anything is committed."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from gateway.api import Chunk, Kind, Outcome, Reader, Upstream
from gateway.catalog import Target
from gateway.request.local import LocalClient, LocalExchange
from gateway.upstream.client import Client
from gateway.upstream.exchange import Exchange
from gateway.upstream.failure import FailureKind, UpstreamFailure

log = logging.getLogger(__name__)

MAX_ERROR_BODY = 64 * 1024
ENDING = 5.0
"""Seconds that the upstream's body may take to end if it is an error, or once its answer is complete."""
CLOSING = 0.25
"""The same after the last event: most end it at once, and their connection can be used again."""
MAX_PASSED = 128
"""Characters of a header's value that is passed on."""
MAX_HELD = 1024 * 1024
"""Bytes of a stream's lifecycle events that are held back until its first content. Those of a response repeat
instructions and tools twice."""

_BY_FAILURE = {
    FailureKind.TIMEOUT: Kind.TIMEOUT,
    FailureKind.INVALID: Kind.INVALID,
    FailureKind.TOO_LARGE: Kind.INVALID,
}
_UPSTREAM_ID_HEADERS = ("x-request-id", "request-id")


class Attempt(ABC):
    """Receives the answer to one request. Base of the two ways to do so: whole, and as a stream.

    `run` returns None if the answer is complete, else what went wrong.
    """

    def __init__(self, target: Target, reader: Reader) -> None:
        self._target = target
        self._provider = target.service.plugin
        self._redactor = target.secret.redactor
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Outcome | None] = self._loop.create_future()
        self._exchange: Exchange | LocalExchange | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._headers: Mapping[str, str] = {}
        self._error_body: bytearray | None = None
        self._tail = b""
        """The end of what was read so far: our key may be cut in two."""
        self.reader = reader
        self.sent = False
        self.status = 0
        self.request_id: str | None = None

    async def run(
        self, client: Client | LocalClient, upstream: Upstream, connect: float, deadline: float
    ) -> Outcome | None:
        """Send and wait for the end. ``connect`` in seconds; ``deadline`` in loop time."""
        self._timer = self._loop.call_at(deadline, self._overdue)
        try:
            self._exchange = await client.send(upstream, self, connect)
            self.sent = True
            return await self._ended
        except UpstreamFailure as failure:
            return outcome_of(failure, self.status)
        except Exception:  # a plugin's bug fails its attempt, and nothing else
            log.exception("request could not be sent")
            return Outcome(Kind.FAILED, self.status, "The request could not be sent.")
        finally:
            self._timer.cancel()
            if self._exchange is not None:
                self._exchange.abort()
            # Let go of each other: garbage that waits for the collector is memory that is never warm.
            self._exchange = self._timer = None

    @property
    def content_type(self) -> str:
        """What the answer is by its own account, as far as that can be passed on."""
        given = self._headers.get("content-type", "")
        return given if _may_be_passed_on(given) else ""

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self._headers = headers
        if announced := self._target.service.headroom:
            self._target.state.headroom.hear(announced, headers)
        for name in _UPSTREAM_ID_HEADERS:
            value = headers.get(name)
            if value is not None and _may_be_passed_on(value):
                self.request_id = None if self._redactor.in_text(value) else value
                break
        if not 200 <= status < 300:
            self._error_body = bytearray()
            self._bring_forward()
        elif not self._accepts(headers.get("content-type", "").lower()):
            self._finish(
                Outcome(Kind.FAILED, status, "The provider answered with an unexpected content type.")
            )

    def _bring_forward(self) -> None:
        """An error's status says almost all: the others must not wait as long for it as for an answer."""
        if self._timer is not None:
            due = min(self._timer.when(), self._loop.time() + ENDING)
            self._timer.cancel()
            self._timer = self._loop.call_at(due, self._overdue)

    def on_data(self, data: bytes) -> None:
        if self._ended.done():
            return
        if self._error_body is not None:
            self._error_body += data
            if len(self._error_body) >= MAX_ERROR_BODY:
                self._diagnose()
            return
        seen = self._tail + data
        if self._redactor.in_answer(seen):
            log.error("a provider sent the gateway's key back")
            self._finish(Outcome(Kind.INVALID, self.status, "The provider's answer held our key."))
            return
        self._tail = self._redactor.tail(seen)
        try:
            self._take(data)
        except Exception:  # a plugin's bug fails its attempt, and nothing else
            self._misread()

    def on_end(self) -> None:
        if self._ended.done():
            return
        if self._error_body is not None:
            self._diagnose()
            return
        try:
            self._complete()
        except Exception:  # as above
            self._misread()

    def on_fail(self, failure: UpstreamFailure) -> None:
        if self._error_body is not None:
            self._diagnose()
        else:
            self._finish(outcome_of(failure, self.status))

    def _diagnose(self) -> None:
        """End with what the error answer means: its status is known, and how its body ends matters little."""
        try:
            body = bytes(self._error_body or b"")
            self._finish(self._provider.diagnose(self.status, self._headers, body))
        except Exception:
            log.exception("provider failed to read an error")
            self._finish(Outcome(Kind.FAILED, self.status, "The provider's error could not be read."))

    def _misread(self) -> None:
        log.exception("reader failed")
        self._finish(Outcome(Kind.INVALID, self.status, "The provider's answer could not be read."))

    def _finish(self, outcome: Outcome | None) -> None:
        if not self._ended.done():
            self._ended.set_result(outcome and self._redactor.outcome(outcome))
            if self._exchange is not None and outcome is not None:
                self._exchange.abort()

    def _overdue(self) -> None:
        if self._error_body is not None:
            self._diagnose()
        else:
            self._finish(Outcome(Kind.TIMEOUT, self.status, "The provider did not answer in time."))

    @abstractmethod
    def _accepts(self, content_type: str) -> bool:
        """Whether an answer of this type, in lower case, may be what was asked for."""

    @abstractmethod
    def _take(self, data: bytes) -> None:
        """The next bytes of a 2xx answer."""

    @abstractmethod
    def _complete(self) -> None:
        """The answer's body has ended."""


class WholeAttempt(Attempt):
    """An answer in one piece."""

    def __init__(self, target: Target, reader: Reader) -> None:
        super().__init__(target, reader)
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
        target: Target,
        reader: Reader,
        *,
        deliver: Callable[[list[Chunk]], None],
        idle: float,
        latest: float,
    ) -> None:
        """``deliver`` gets chunks from the first content on. ``idle``: seconds a begun stream may stay
        silent; ``latest``: loop time at which it must be over."""
        super().__init__(target, reader)
        self._deliver = deliver
        self._idle = idle
        self._latest = latest
        self._held: list[Chunk] = []
        self._held_bytes = 0
        self._last_event = 0.0
        self._blocked = False
        self.committed = False

    def pause(self, blocked: bool) -> None:
        """Stop or go on reading the upstream, as the client can take it."""
        self._blocked = blocked
        self._last_event = self._loop.time()  # an upstream that is not read cannot be blamed for silence
        if self._exchange is not None:
            (self._exchange.pause if blocked else self._exchange.resume)()

    def _accepts(self, content_type: str) -> bool:
        # JSON is no stream, but may say why there is none.
        return not content_type or "event-stream" in content_type or "json" in content_type

    def _take(self, data: bytes) -> None:
        chunks = self.reader.feed(data)
        fault = self.reader.fault
        if chunks and (fault is None or self.committed):
            self._hand_on(chunks)
        if fault is not None:
            self._finish(fault)
        elif self.reader.complete:
            self._expect_end()

    def _hand_on(self, chunks: list[Chunk]) -> None:
        self._last_event = self._loop.time()
        if self.committed:
            self._deliver(chunks)
            return
        self._held += chunks
        self._held_bytes += sum(len(chunk.raw) for chunk in chunks)
        if any(chunk.content for chunk in chunks) or self._held_bytes > MAX_HELD:
            self._commit()

    def _expect_end(self) -> None:
        """Once the answer is complete, what may follow follows soon: usage, and the end of the body; after
        the last event only the latter."""
        patience = CLOSING if getattr(self.reader, "done", False) else ENDING
        if self._idle > patience:
            self._idle = patience
            self._watch()

    def _commit(self) -> None:
        self.committed = True
        self._watch()
        held, self._held = self._held, []
        self._deliver(held)

    def _watch(self) -> None:
        """From now on, wait as long as a stream may stay silent."""
        self._last_event = self._loop.time()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(self._last_event + self._idle, self._latest), self._overdue)

    def _overdue(self) -> None:
        now = self._loop.time()
        heard = now if self._blocked else self._last_event
        due = min(heard + self._idle, self._latest) if self.committed else now
        if due > now:
            self._timer = self._loop.call_at(due, self._overdue)
        elif self.reader.complete:
            self.on_end()  # an upstream that keeps its connection open after the answer
        else:
            super()._overdue()

    def on_fail(self, failure: UpstreamFailure) -> None:
        if self.reader.complete:
            self.on_end()  # how the connection ends after the answer says nothing of the answer
        else:
            super().on_fail(failure)

    def _complete(self) -> None:
        chunks = self.reader.finish()
        if self.committed:
            self._deliver(chunks)
        elif self.reader.fault is None:
            self._held += chunks
            self._commit()
        self._finish(self.reader.fault)


def _may_be_passed_on(value: str) -> bool:
    """Whether a header with this value may go to the client."""
    return len(value) <= MAX_PASSED and value.isascii() and value.isprintable()


def outcome_of(failure: UpstreamFailure, status: int) -> Outcome:
    """What a failure of the connection means: the upstream's fault, retried elsewhere, unless the answer
    came and is of no use. ``status``: of the answer, 0 if there is none."""
    kind = _BY_FAILURE.get(failure.kind, Kind.FAILED)
    if kind is Kind.INVALID and not status:
        kind = Kind.FAILED
    return Outcome(kind, status, str(failure))
