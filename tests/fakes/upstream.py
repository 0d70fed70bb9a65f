"""What the strict fakes share: a loopback server that records, plays faults, judges and answers."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import orjson
from aiohttp import web
from multidict import CIMultiDictProxy, MultiMapping

Json = dict[str, Any]
JSON = "application/json"
SSE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as it arrived."""

    method: str
    path: str
    query: MultiMapping[str]
    headers: CIMultiDictProxy[str]
    body: bytes
    at: float
    """Monotonic seconds."""

    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Fault:
    """What one request gets in place of an answer, whatever it asks."""

    status: int
    message: str = "scripted fault"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent as it is; None: an error in the provider's own shape."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets: a JSON body, or the events of a stream."""

    body: Any = None
    events: tuple[bytes, ...] = ()
    content_type: str = JSON


class Rejected(Exception):
    """The request breaks the provider's rules; ``body`` is the error as the provider words it."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(orjson.dumps(body).decode())
        self.status = status
        self.body = body


class FakeUpstream(ABC):
    """``async with FakeOpenAI() as fake:`` serves at ``fake.url`` until the block ends."""

    headers: ClassVar[Mapping[str, str]] = {}
    """Response headers every answer has, beside the request id."""
    request_id_header = "x-request-id"

    def __init__(self, *, keys: Iterable[str] = ("good-key",)) -> None:
        self.keys = set(keys)
        self.requests: list[Recorded] = []
        self.script: deque[Fault | None] = deque()
        """Faults for the next requests, in order; None lets one through."""
        self.cut: int | None = None
        """Streams are written in pieces of this many bytes; None: an event a write."""
        self.cached = 0
        """Input tokens every answer says were read from the prompt cache (at most the input there was)."""
        self.cache_written = 0
        """Input tokens every answer says were written to the prompt cache."""
        self.gate: asyncio.Event | None = None
        """While set and not released, a stream stops after its first event and a body waits."""
        self.port = 0
        self._count = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @abstractmethod
    def authorize(self, request: Recorded) -> None:
        """Raise `Rejected` unless the request carries an accepted key the way the provider wants it."""

    @abstractmethod
    def answer(self, request: Recorded) -> Answer:
        """Judge an authorised request and answer it. Raises `Rejected`."""

    @abstractmethod
    def error(self, status: int, message: str) -> Any:
        """The body of an error in the provider's shape."""

    def refusal(self, body: Any) -> Any:
        """The body of a `Rejected`, with what only the server knows."""
        return body

    def number(self, prefix: str) -> str:
        """A fresh id, the same in every run: ``prefix`` and a counter."""
        self._count += 1
        return f"{prefix}{self._count:020d}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        recorded = Recorded(
            request.method,
            request.path,
            request.query,
            request.headers,
            await request.read(),
            time.monotonic(),
        )
        self.requests.append(recorded)
        headers = {self.request_id_header: f"req_{len(self.requests):08d}", **self.headers}
        if self.script and (fault := self.script.popleft()) is not None:
            body = orjson.dumps(self.error(fault.status, fault.message)) if fault.body is None else fault.body
            return web.Response(
                status=fault.status, body=body, headers={"Content-Type": JSON, **headers, **fault.headers}
            )
        try:
            self.authorize(recorded)
            answer = self.answer(recorded)
        except Rejected as no:
            return _json(self.refusal(no.body), headers, no.status)
        except (AttributeError, KeyError, TypeError) as wrong:
            # A value of a type that no rule foresaw: the service would not take it either.
            return _json(self.error(400, f"malformed request: {wrong!r}"), headers, 400)
        if answer.events:
            return await self._stream(request, answer, headers)
        if self.gate is not None:
            await self.gate.wait()
        return _json(answer.body, headers)

    async def _stream(
        self, request: web.Request, answer: Answer, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": answer.content_type, **headers})
        await response.prepare(request)
        first, *rest = answer.events
        await response.write(first)
        if self.gate is not None:
            await self.gate.wait()
        pieces: Iterable[bytes] = rest
        if self.cut is not None:
            joined = b"".join(rest)
            pieces = (joined[at : at + self.cut] for at in range(0, len(joined), self.cut))
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0)  # lets every write become a read of its own
        await response.write_eof()
        return response


def _json(body: Any, headers: Mapping[str, str], status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), headers={"Content-Type": JSON, **headers})
