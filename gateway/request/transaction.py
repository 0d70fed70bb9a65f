"""One client request, from its arrival to its record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gateway.api import ApiError, Attempt, Demand, Units, Upload, Usage
from gateway.api.usage import NO_UNITS
from gateway.catalog import Pool, Target
from gateway.clients import Client
from gateway.content import Content
from gateway.request.head import go_duration, line
from gateway.request.operations import Operation
from gateway.request.relay import RecordedRelay, Relay
from gateway.request.tape import Tape
from gateway.runtime import Live, Runtime


@dataclass(slots=True, eq=False)
class Transaction:
    """What is known of a request so far. Times are monotonic seconds unless said otherwise."""

    http: web.Request
    live: Live
    runtime: Runtime
    client: Client
    operation: Operation
    request_id: str
    started: float = field(default_factory=time.monotonic)
    body: dict[str, Any] = field(default_factory=dict)
    upload: Upload | None = None
    """The form that came, of which ``body`` has what the gateway itself reads."""
    upload_seconds: float = 0.0
    """How long the client took to send it: neither our overhead nor the providers' time."""
    units: Units = NO_UNITS
    """What else than tokens it may be billed by, at most."""
    input_estimate: int = 0
    """Input tokens, as well as can be said before the upstream does."""
    alias: str = ""
    """The model as the client named it."""
    asked: tuple[str, int] | None = None
    """The output limit that the client set: the parameter's name and its value."""
    stream: bool = False
    include_usage: bool = False
    pool: Pool | None = None
    demand: Demand = field(default_factory=lambda: Demand(0, 0, ""))
    attempts: list[Attempt] = field(default_factory=list)
    tries: int = 0
    """Attempts begun; `attempts` holds those that have ended."""
    target: Target | None = None
    """The candidate of the last attempt."""
    upstream_seconds: float = 0.0
    waited_seconds: float = 0.0
    """How long it was `waiting`, or followed one that was: neither our overhead nor the providers' time."""
    first_token: float | None = None
    usage: Usage | None = None
    cost: int | None = None
    """Nano-dollars; None while or where unknown."""
    reserved_cost: int = 0
    """Nano-dollars of the client's budget that were reserved for it."""
    dropped: tuple[str, ...] = ()
    clamped: str | None = None
    upstream_request_id: str | None = None
    error: ApiError | None = None
    status: int = 0
    partial: bool = False
    closed: bool = False
    """Its record is written."""
    cache: str = "off"
    """What the response cache did: see `Record.cache`."""
    tape: Tape | None = None
    """Where its answer is recorded for others."""
    relay: Relay | None = None
    """Its stream, where that had begun with signs of life when the request it followed ended with nothing."""
    content: Content | None = None
    """What it asks and is answered, where that is logged."""
    left: bool = False
    """Its client went away, but its call goes on for others: its books stay open until that ends."""

    def fail(self, error: ApiError, status: int) -> None:
        """It ends with ``error``, and for the client with ``status``."""
        # A traceback leads back here by its frames: the answers they hold would wait for the cycle collector.
        self.error = error.with_traceback(None)
        self.status = status

    def leave(self) -> None:
        """It ends without its client."""
        error = ApiError("client_closed_request", "The client went away.")
        self.fail(error, error.status)
        self.partial = True
        if self.relay is not None:
            self.relay.close()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While it lasts, nobody works for it: no key has room, or one is only tried again later."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.waited_seconds += time.monotonic() - began

    @property
    def deadline(self) -> float:
        """When the whole request, all attempts together, must be over."""
        assert self.target is not None
        return self.deadline_at(self.target)

    def deadline_at(self, target: Target) -> float:
        """The same, as ``target`` sets it."""
        return self.started + self.upload_seconds + target.service.timeouts.total

    def headers(self) -> str:
        """The header lines that every answer carries, as far as they are known by now."""
        lines = (
            f"x-request-id: {self.request_id}\r\n"
            f"x-coo-cache: {self.cache}\r\nx-coo-attempts: {self.tries}\r\n"
        )
        if self.operation.dialect.id_header is not None:
            lines += line(self.operation.dialect.id_header, self.request_id)
        if self.target is not None:
            lines += self.target.lines
        if self.dropped:
            lines += line("x-coo-dropped-params", ",".join(self.dropped))
        if self.clamped is not None:
            lines += line("x-coo-clamped", self.clamped)
        if self.upstream_request_id is not None:
            lines += line("x-coo-upstream-request-id", self.upstream_request_id)
        for reading in self.client.meter.readings():
            kind = reading.kind
            if kind == "requests" or kind == "tokens":
                lines += (
                    f"x-ratelimit-limit-{kind}: {reading.limit}\r\n"
                    f"x-ratelimit-remaining-{kind}: {max(reading.limit - reading.used, 0)}\r\n"
                    f"x-ratelimit-reset-{kind}: {go_duration(reading.reset)}\r\n"
                )
        return lines


def relay_to(tx: Transaction, make_head: Callable[[], bytes]) -> Relay:
    """The client's side of the stream that answers ``tx``; one that has begun goes on."""
    if tx.relay is not None:
        return tx.relay
    keepalive = tx.runtime.config.server.sse_keepalive
    filler = tx.operation.dialect.keepalive
    if tx.content is None:
        return Relay(tx.http, make_head, filler, keepalive)
    return RecordedRelay(tx.content, tx.http, make_head, filler, keepalive)
