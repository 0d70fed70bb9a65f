"""The server side of HTTP: aiohttp's connections, made cheaper per request and stricter with bad peers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_writer import StreamWriter
from aiohttp.web_protocol import RequestHandler, _ErrInfo
from multidict import CIMultiDictProxy

from gateway.api.errors import ApiError
from gateway.expected import Expected
from gateway.refusals import broken_http, refusal, unacceptable, undecodable
from gateway.request_id import new_request_id

log = logging.getLogger(__name__)

HEADER_DEADLINE = 15.0
IDLE_TIMEOUT = 75.0
LINGER = 2.0
"""Seconds: for a request's head to arrive, between two requests, and to drain a body nobody wants."""
LATECOMERS = 1.0
"""Seconds that a request may be on its way as we stop: a first one, or the next one behind an answer."""
STALL = 60.0
"""Seconds in which a client with a full buffer must have read some of it."""

_PROBES = (0.05, 0.2, 0.5)
"""Seconds between the writes that find out whether a half-closed client is still there."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Direct(web.StreamResponse):
    """A response that goes out as it is: head and body were put together by the request path."""

    def __init__(self, status: int, payload: bytes, *, close: bool = False) -> None:
        super().__init__(status=status)
        self.payload = payload
        self.close = close

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Put further headers behind the status line of a head that has not gone out yet."""
        status_line, rest = self.payload.split(b"\r\n", 1)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.payload = b"%b\r\n%b%b" % (status_line, lines.encode("latin-1", "replace"), rest)


class Connection(RequestHandler):
    """One client connection. It handles a request in its own task, answers broken HTTP in JSON, limits the
    time a head may take, and tells a client that went away from one that only closed its sending side."""

    __slots__ = (
        "_half_closed",
        "_header_deadline",
        "_server",
        "_stall_timer",
        "begun",
        "held_back",
        "on_eof",
        "on_writable",
        "written",
    )

    def __init__(self, manager: Server, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self._server = manager
        self._header_deadline: asyncio.TimerHandle | None = None
        self._half_closed = False
        self._stall_timer: asyncio.TimerHandle | None = None
        self.begun = False
        """Part of the answer has gone out past aiohttp, and no other can be given."""
        self.held_back = False
        """The client waits to be asked for its body; if it never is, nobody knows what it sends next."""
        self.written = 0
        """Bytes of answers, counted before they go out; of one that aiohttp writes, once it is written."""
        self.on_writable: Callable[[], None] | None = None
        """Called when the client reads again after the write buffer was full."""
        self.on_eof: Callable[[], None] | None = None
        """Called at the client's FIN once an answer has begun; it should write, to see if anyone is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._server.expected.add(self)
        self._header_deadline = self._loop.call_later(HEADER_DEADLINE, self._head_overdue)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._cancel_header_deadline()
        self._server.expected.discard(self)
        if self._stall_timer is not None:
            self._stall_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages or self._request_in_progress:
            self._cancel_header_deadline()
            if self._messages and isinstance(broken := self._messages[-1][0], _ErrInfo):
                self._give_up_body()
                if (coded := undecodable(broken.exc, data)) is not None:
                    self._messages[-1] = coded
        elif self._header_deadline is None:
            self._header_deadline = self._loop.call_later(HEADER_DEADLINE, self._head_overdue)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall_timer is None:
            self._watch_reader()

    def _watch_reader(self, before: float = float("-inf")) -> None:
        """Drop a client that reads nothing at all; one that reads, however slowly, is served on. ``before``:
        bytes it had taken at the last look. They can seem fewer now, for TLS adds to those in the buffer."""
        self._stall_timer = None
        if self.transport is None or not self.writing_paused:
            return
        by_aiohttp = 0 if self._current_request is None else self._current_request.writer.output_size
        taken = self.written + by_aiohttp - self.transport.get_write_buffer_size()
        if taken <= before:
            self.transport.abort()
        else:
            self._stall_timer = self._loop.call_later(STALL, self._watch_reader, taken)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_writable is not None:
            self.on_writable()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio wants a bool, aiohttp says None
        """Keep a half-closed connection until its answer went out.

        A FIN looks the same whether the client is gone or only done sending. An interim response
        (RFC 9110 section 15.2) tells: whoever is gone answers it with a reset, and the request is
        cancelled; whoever listens skips it.
        """
        if not self._request_in_progress or self.transport is None:
            return False
        self._half_closed = True
        self._probe(0)
        return True

    def ask_for_body(self) -> None:
        """Give the go-ahead to a client that waits for it (RFC 9110, section 10.1.1)."""
        if self.held_back and self.transport is not None:
            self.held_back = False
            self.transport.write(_CONTINUE)

    def _probe(self, times: int) -> None:
        """Write something harmless. To learn of a reset takes two writes: one to cause it, one to hit it."""
        if not self._request_in_progress or self.transport is None:
            return
        if times == 2:  # the client listens, but no more of a body will come
            self._give_up_body()
        request = self._current_request
        if self.on_eof is not None:
            self.on_eof()
        elif request is not None and request.version >= HttpVersion11:  # older ones must not get it
            self.transport.write(_CONTINUE)
        if times < len(_PROBES):
            self._loop.call_later(_PROBES[times], self._probe, times + 1)

    def interrupt(self) -> None:
        """Cancel the request in progress; whoever handles it may still say why."""
        if self._request_in_progress and self._task_handler is not None:
            self._task_handler.cancel()

    def leave(self) -> None:
        """Let this end with the next answer whose head can say so, or soon if nothing is asked."""
        if (request := self._current_request) is None:
            self._await_last()
        elif not self.begun:
            request._message = request._message._replace(should_close=True)

    def _await_last(self) -> None:
        """Wait for one more request, which may be on its way, until some time after the last answer."""
        self._server.expected.add(self)
        answered = self._next_keepalive_close_time - self._keepalive_timeout
        self._loop.call_at(answered + LATECOMERS, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if not (self._request_in_progress or self._messages or self._header_deadline):
            self.force_close()

    async def start(self) -> None:
        """Serve requests one after the other until the connection ends.

        As aiohttp's own, without a task, an access log and WebSockets per request.
        """
        while not self._force_close:
            if not self._messages:
                if self._half_closed:
                    break
                self._waiter = self._loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            message, payload = self._messages.popleft()
            self._server.expected.discard(self)
            self._resume_parser()
            if isinstance(message, _ErrInfo):
                self._refuse(broken_http(message.exc))
                break
            if (error := unacceptable(message)) is not None:
                self._refuse(error, message)
                break
            if message.upgrade or self._server.leaving:  # an upgrade is never granted, and hides what follows
                message = message._replace(should_close=True)
            self.begun = self.held_back = False
            if "expect" in message.headers:  # ours to meet: aiohttp would, before anyone looked at the key
                self.held_back = message.version == HttpVersion11 and not payload.is_eof()
                headers = message.headers.copy()
                del headers["expect"]
                message = message._replace(headers=CIMultiDictProxy(headers))
            self._request_in_progress = True
            try:
                if not await self._answer(message, payload):
                    break
                if not payload.is_eof():
                    await self._drain(payload)
            except asyncio.CancelledError:
                self.force_close()
                raise
            except ConnectionError:
                break
            except Exception:  # what the application itself should have caught
                self._fail()
                break
            finally:
                self._request_in_progress = False
                self._current_request = None
                if self._handler_waiter is not None:
                    self._handler_waiter.set_result(None)
            if not self._keepalive or self._close or self._force_close:
                break
            self._await_next()
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    def _give_up_body(self) -> None:
        """Tell who reads a body that the rest of it will not come: the parser leaves them waiting."""
        bodies = [body for _, body in self._messages]
        if self._current_request is not None:
            bodies.append(self._current_request.content)
        for body in bodies:
            if not body.is_eof():
                body.set_exception(web.RequestPayloadError("the body is broken"))

    def _resume_parser(self) -> None:
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()

    async def _answer(self, message: Any, body: Any) -> bool:
        """Handle one request and send its answer; False if the client is gone."""
        assert self._request_factory is not None and self._request_handler is not None
        assert self._task_handler is not None
        writer: AbstractStreamWriter = StreamWriter(self, self._loop)
        request = self._request_factory(message, body, self, writer, self._task_handler)
        self._current_request = request
        response = await self._request_handler(request)
        request._finish()
        if self.transport is None:
            return False
        if isinstance(response, Direct):
            self._keepalive = not response.close and request.keep_alive
            if payload := response.payload:
                if self.begun:
                    return False
                if request.method == "HEAD":
                    payload = payload[: payload.index(b"\r\n\r\n") + 4]
                self.written += len(payload)
                self.transport.write(payload)
            return True
        await response.prepare(request)
        await response.write_eof()
        self.written, writer.output_size = self.written + writer.output_size, 0
        self._keepalive = bool(response.keep_alive)
        return True

    async def _drain(self, payload: Any) -> None:
        """Read what is left of a body that was answered early, for a moment; then close."""
        try:
            async with asyncio.timeout(LINGER):
                while not payload.is_eof():
                    await payload.readany()
        except (TimeoutError, HttpProcessingError, web.RequestPayloadError):
            self.close()

    def _await_next(self) -> None:
        self._next_keepalive_close_time = due = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(due, self._process_keepalive)
        if self._server.leaving:
            self._await_last()

    def _fail(self) -> None:
        """The last resort: say that it is our fault, if nothing was said yet."""
        request_id = new_request_id()
        log.exception("internal error", extra={"request_id": request_id})
        if (request := self._current_request) and not self.begun and not request.writer.output_size:
            error = ApiError("internal_error", f"Internal error; request id {request_id}.")
            self._refuse(error, request._message, request_id)

    def _refuse(self, error: ApiError, message: Any = None, request_id: str | None = None) -> None:
        """Answer what broke HTTP itself, in JSON as its client knows it; the connection ends with it."""
        if self.transport is not None:
            self._server.on_refusal(error.code)
            self.transport.write(refusal(error, message, request_id))

    def _head_overdue(self) -> None:
        self._header_deadline = None
        if not self._request_in_progress and not self._messages:
            self.force_close()

    def _cancel_header_deadline(self) -> None:
        if self._header_deadline is not None:
            self._header_deadline.cancel()
            self._header_deadline = None


class Server(web.Server):
    """Makes a `Connection` for each client that connects. ``on_refusal`` is told the code of every error
    that is answered below the application."""

    on_refusal: Callable[[str], None]

    def __init__(self, handler: Callable[..., Any], **settings: Any) -> None:
        super().__init__(handler, **settings)
        self.expected = Expected()
        """Those that no request has come from yet and, once we are leaving, those that were answered."""
        self.leaving = False
        """No further request is wanted, but those that are on their way are answered."""

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)

    def leave(self) -> None:
        """Let every connection end with the answer that is due."""
        self.leaving = True
        for connection in self.connections:
            assert isinstance(connection, Connection)
            connection.leave()
