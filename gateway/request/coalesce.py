"""Identical requests in flight: one asks the upstream, the others follow and get what it gets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from gateway.api import ApiError, Kind, Outcome, Source, Usage
from gateway.request.account import close_books
from gateway.request.admit import admit_unbilled
from gateway.request.ending import broken, streamed
from gateway.request.entry import Entry, give
from gateway.request.errors import draining, from_outcome
from gateway.request.head import stream_head
from gateway.request.relay import Relay
from gateway.request.tape import Tape
from gateway.request.transaction import Transaction, relay_to
from gateway.server import Direct

log = logging.getLogger(__name__)

_NOTHING = Outcome(Kind.FAILED, 0, "")
"""What a begun stream ends with if its leader was stopped for a reason of its own."""
_WAITED = 0.9
"""The part of ``max_wait`` after which a follower takes its leader's refusal for its own. Else each in turn
would lead for the little time it has left, and every time all the others would wake up and follow anew."""
Ask = Callable[[], Awaitable[web.StreamResponse]]


class Call(NamedTuple):
    """What must be the same for requests to share one answer in flight, to the byte."""

    key: str
    """Of the cache."""
    stream: bool
    options: bytes
    """The ``stream_options``."""


class Flight:
    """A call to the upstreams, made by the first of several requests."""

    def __init__(self, leader: Transaction, tape: Tape) -> None:
        self.leader = leader
        self.tape = tape
        self.work: asyncio.Task[web.StreamResponse] | None = None
        self.complete = False
        self.error: ApiError | None = None
        """Why there is no answer, or not all of it, where that may hold for the others as well."""
        self.followers = 0
        self.ended = asyncio.Event()

    async def run(self, ask: Ask) -> web.StreamResponse:
        """Let the leader ask, and note how that ends."""
        tx = self.leader
        try:
            response = await ask()
        except ApiError as error:
            self.error = error
            raise
        self.complete, self.error = tx.error is None, tx.error
        return response

    async def wait(self, tx: Transaction) -> None:
        """Until it has ended. Once nobody waits any more it is cancelled."""
        began = time.monotonic()
        self.followers += 1
        try:
            await self.ended.wait()
        finally:
            if self.leader.tries:
                tx.upstream_seconds += time.monotonic() - began
            else:  # it has only stood in line, and ``tx`` with it
                tx.waited_seconds += time.monotonic() - began
            self.followers -= 1
            if not self.followers and self.leader.left and self.work is not None:
                self.work.cancel()

    def error_for(self, tx: Transaction) -> ApiError | None:
        """The error that ``tx`` would get as well; None if it may fare better."""
        leader, error = self.leader, self.error
        if error is None or leader.first_token is not None:
            return error
        waited = tx.waited_seconds >= _WAITED * tx.runtime.config.policy.queue.max_wait
        shared = error.source in (Source.PROVIDER, Source.CALLER) or error.code == "upstream_rate_limited"
        return error if shared and (leader.tries or waited) else None


class Flights:
    """The calls of this process that requests may join."""

    def __init__(self) -> None:
        self._flights: dict[Call, Flight] = {}

    def find(self, call: Call) -> Flight | None:
        """The call that is being made for such requests, if all of its answer so far can still be had."""
        flight = self._flights.get(call)
        return flight if flight is not None and flight.tape.whole else None

    def works(self) -> list[asyncio.Task[web.StreamResponse]]:
        """Those that are not done."""
        return [flight.work for flight in self._flights.values() if flight.work is not None]

    async def lead(self, tx: Transaction, call: Call, tape: Tape, ask: Ask) -> web.StreamResponse:
        """Ask for all, on ``tape``. If this client leaves, the call goes on for the others."""
        flight = self._flights[call] = Flight(tx, tape)
        flight.work = work = asyncio.get_running_loop().create_task(flight.run(ask))
        work.add_done_callback(lambda _: self._landed(call, flight, work))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if flight.followers and tx.http.transport is None:
                tx.left = True
                tape.leader_left()
                raise
            work.cancel()
            await asyncio.wait({work})
            if work.cancelled():
                raise
            return work.result()

    async def follow(self, tx: Transaction, call: Call) -> Direct | None:
        """What another request's call brings; None if that is nothing, and somebody has to ask anew.

        Raises the `ApiError` that the other request got, where this one would get the same.
        """
        admission = await admit_unbilled(tx)
        tx.cache = "coalesced"
        try:
            flight = self.find(call)
            response = None
            if flight is not None:
                response = await (_stream if tx.stream else _whole)(tx, flight)
            if response is None:
                tx.cache = "miss"
            return response
        finally:
            if tx.cache == "coalesced":
                tx.live.metrics.cache_event("coalesced")
                await tx.live.store.settle(admission, 0)
            else:
                await tx.live.store.release(admission)

    def _landed(self, call: Call, flight: Flight, work: asyncio.Task[web.StreamResponse]) -> None:
        """Forget it before the followers wake, so that the first of them may lead if need be."""
        if self._flights.get(call) is flight:
            del self._flights[call]
        flight.ended.set()
        tx = flight.leader
        if not tx.left:
            return
        failure = None if work.cancelled() else work.exception()
        if failure is not None and not isinstance(failure, ApiError):
            log.error("internal error", exc_info=failure, extra={"request_id": tx.request_id})
        tx.left = False
        tx.leave()
        close_books(tx)


async def _whole(tx: Transaction, flight: Flight) -> Direct | None:
    await flight.wait(tx)
    tx.target = flight.leader.target
    if flight.complete and tx.target is not None:
        return give(tx, Entry.of(flight.leader, b"".join(flight.tape.pieces)), tx.target)
    if (error := flight.error_for(tx)) is not None:
        raise error
    return None


async def _stream(tx: Transaction, flight: Flight) -> Direct | None:
    def make_head() -> bytes:
        leader = flight.leader
        tx.target, tx.dropped, tx.clamped = leader.target, leader.dropped, leader.clamped
        return stream_head(tx.http, tx.headers())

    relay = relay_to(tx, make_head)
    flight.tape.join(relay)
    response = None
    try:
        response = await _listen(tx, flight, relay)
        return response
    finally:
        flight.tape.leave(relay)
        if response is None and relay.started:
            tx.relay = relay
        else:
            relay.close()


async def _listen(tx: Transaction, flight: Flight, relay: Relay) -> Direct | None:
    """Let the stream pass, and end it as the flight ended."""
    joined = time.monotonic()
    try:
        await flight.wait(tx)
    except asyncio.CancelledError:
        if not relay.started or tx.http.transport is None:
            raise
        return _break(tx, relay, draining())  # the client is still there: it is us who stop
    tx.target = flight.leader.target
    if (first := flight.leader.first_token) is not None:
        tx.first_token = max(first, joined)
    if flight.complete:
        tx.status = 200
        tx.usage, tx.cost = Usage(), 0
        if tx.content is not None:
            tx.content.streamed(flight.tape.ending)
        return streamed(tx, relay, flight.tape.ending)
    error = flight.error_for(tx)
    if error is None and first is not None:
        error = from_outcome(_NOTHING)
    if error is None:
        return None
    if not relay.started:
        raise error
    return _break(tx, relay, error)


def _break(tx: Transaction, relay: Relay, error: ApiError) -> Direct:
    tx.partial = tx.first_token is not None
    tx.usage, tx.cost = Usage(), 0
    return broken(tx, relay, error)
