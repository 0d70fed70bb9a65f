"""Which candidate is tried next, and when there is none left, why."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from gateway.api import ApiError, Kind, Outcome, Reader, Refusal, Reservation, Unsupported, Upstream
from gateway.catalog import Target
from gateway.request.exhausted import disabled, exhausted, more_hopeful, shortest_rest
from gateway.request.fallback import fallbacks
from gateway.request.transaction import Transaction
from gateway.request.translate import Translation, prepared

log = logging.getLogger(__name__)

NEAR_LIMIT = 0.8
"""The part of a window from which on its key is said to be near its limit."""
WORTHWHILE = 0.02
"""Seconds an attempt must have before the deadline of the whole request."""
SOON = 1.0
"""Seconds after which to come again, where nobody knows when a key gets free."""
LOOK = 0.1
"""Seconds between two looks of who waits in line for what is in flight: nobody here is told when another
process gives it back."""
REST = 10
"""As many times as long as a look took there is none: with many keys and lines it may take a while."""
AGAIN = 5 * LOOK
"""Seconds within which who waits in line will have looked again, on a busy machine too."""
_SAME_KEY_AGAIN = frozenset({Kind.FAILED, Kind.TIMEOUT, Kind.OVERLOADED})
_PASSING = frozenset({Kind.LIMITED, Kind.OVERLOADED})
"""Failures after which a key is as good as before once it has rested."""


@dataclass(slots=True)
class Choice:
    """A candidate whose windows have room, and the request that goes to it."""

    target: Target
    translation: Translation
    upstream: Upstream
    reader: Reader
    """Of the answer."""
    reservation: Reservation
    ticket: int
    """Of its circuit, to report the outcome with."""


class Plan:
    """The order of attempts for one request: its pool, the same keys again, then other providers."""

    def __init__(self, tx: Transaction, targets: Sequence[Target]) -> None:
        self._tx = tx
        self._targets = targets
        self._policy = tx.runtime.config.policy
        self._left = self._policy.retry.max_attempts
        self._again = 0
        """How often keys that had failed were tried again."""
        self._tried: set[Target] = set()
        self._barred: dict[str, Unsupported | None] = {}
        """Services that are not asked, by id, and what they cannot do; None: they do not have the model."""
        self._fallbacks: Iterator[Sequence[Target]] | None = None
        self._refusals: list[float] = []
        """Seconds after which each key that was refused has room again."""
        self._awaited = False
        """A key was refused for want of what requests in flight hold: nobody knows when they give it back."""
        self._last: Outcome | None = None
        self._failure: Outcome | None = None
        """The most hopeful of all failures: what the client is told in the end."""
        self._max_wait = self._policy.queue.max_wait - tx.waited_seconds
        """Less what it waited where it followed another request."""
        self._until: float | None = None
        """Loop time until which it waits in line, once it does."""
        self._lines_up = False
        """A refusal makes it wait in line, where it is tried again."""
        self._deadline = math.inf
        """Monotonic seconds; looked up once any time has been spent."""

    async def next(self) -> Choice:
        """The next attempt. Raises `ApiError` when there is none."""
        queue, settings = self._tx.live.queue, self._policy.queue
        queueing = self._policy.on_exhausted == "queue"
        self._lines_up = queueing and queue.size < settings.max_size
        choice = None
        if self._last is not None or not (self._lines_up and queue.waits_at(self._keys())):
            choice = await self._try()
            queueing = queueing and self._worth_waiting() and bool(self._refusals)
        if choice is None and queueing and queue.size < settings.max_size:  # others have lined up meanwhile
            choice = await self._in_line()
        if choice is None and self._last is None and self._policy.on_exhausted == "burst":
            choice = await self._take(self._targets, force=True)
        if choice is None:
            raise self._exhausted()
        return choice

    def failed(self, target: Target, outcome: Outcome) -> None:
        """Take note of a failed attempt. Raises `ApiError` if it ends the request."""
        self._last = outcome
        self._failure = more_hopeful(self._failure, outcome)
        self._deadline = self._tx.deadline
        if outcome.kind not in _PASSING:  # a key that rests refuses by itself, as long as it does
            self._tried.add(target)
        if outcome.kind is Kind.CALLER or billed(self._tx, outcome):
            raise self._exhausted()
        if outcome.kind is Kind.MODEL:
            self._barred[target.service.id] = None

    def _worth_waiting(self) -> bool:
        """Whether a key that gets room would be asked."""
        return self._last is None or (self._last.kind in _PASSING and self._left > 0)

    async def _try(self) -> Choice | None:
        return await self._from_pool() or await self._from_fallbacks()

    async def _from_pool(self) -> Choice | None:
        if self._left < 1:
            return None
        untried = self._targets
        if self._tried or self._barred:
            untried = [t for t in untried if t not in self._tried and t.service.id not in self._barred]
        choice = await self._take(untried) or await self._once_more()
        if choice is not None:
            self._left -= 1
        return choice

    async def _from_fallbacks(self) -> Choice | None:
        if self._fallbacks is None:
            self._fallbacks = fallbacks(self._tx, self._targets)
        for targets in self._fallbacks:
            choice = await self._take([t for t in targets if t not in self._tried])
            if choice is not None:
                self._tried.add(choice.target)
                return choice
        return None

    async def _once_more(self) -> Choice | None:
        """A key that failed before, after a pause, if time is left: exponential, with full jitter."""
        again = [t for t in self._targets if t in self._tried]
        if not again or self._last is None or self._last.kind not in _SAME_KEY_AGAIN:
            return None
        seconds = random.uniform(0, self._policy.retry.interval * 2**self._again)
        self._again += 1
        if time.monotonic() + seconds + WORTHWHILE > self._deadline:
            return None
        with self._tx.waiting():
            await asyncio.sleep(seconds)
        return await self._take(again)

    async def _take(self, targets: Sequence[Target], *, force: bool = False) -> Choice | None:
        """The best of ``targets`` that has room now; with ``force`` the least loaded, room or not."""
        now = time.monotonic()
        if now + WORTHWHILE > self._deadline:
            return None
        if now < self._tx.live.memory.trouble_until:
            targets = [t for t in targets if self._free(t, now)]
        if not targets:
            return None
        ranked: Sequence[Target]
        if force:
            ranked = sorted(targets, key=_load)
        else:
            # An algorithm knows candidates, and gives back those it was given: here they are targets.
            ranked = self._tx.runtime.algorithm.rank(targets, self._tx.demand, now)  # type: ignore[assignment]
        for target in self._in_turn(allowing_first(self._tx, ranked), now):
            if (choice := await self._reserve(target, now, force)) is not None:
                return choice
        return None

    def _in_turn(self, ranked: Sequence[Target], now: float) -> Iterator[Target]:
        """As ranked, but for those behind a circuit in slow start, which only prefers others. A circuit earns
        its next turn by being asked: so it is asked when the turn comes."""
        held_back = []
        for target in ranked:
            if target.service.id in self._barred:
                continue
            if target.state.circuit.admits(now):
                yield target
            else:
                held_back.append(target)
        yield from held_back

    def _free(self, target: Target, now: float) -> bool:
        """Whether the key may be used now. If it rests, how long is one of the refusals to wait for."""
        wait = target.meter.cooled_until - now
        if wait > 0 and not disabled(target, now):
            self._refusals.append(wait)
        return wait <= 0 and not target.secret.state.off

    async def _reserve(self, target: Target, now: float, force: bool) -> Choice | None:
        tx = self._tx
        ticket = target.state.circuit.begin(now)
        if not ticket:
            return None
        choice = None
        try:
            translated, upstream, dropped = prepared(tx, target)
            if dropped and self._policy.on_lossy == "refuse":
                raise Unsupported(dropped[0], "it would be lost on the way to this provider")
            upstream.headers.extend(target.service.headers)
            reader = target.service.plugin.reader(translated.call)
            # All that a plugin does beforehand is done: its bug would keep what is reserved from here on.
            tokens = tx.demand.input_tokens + tx.demand.output_tokens
            again = AGAIN if self._lines_up else 0.0
            reservation = await tx.live.store.reserve(target.meter, tokens, force=force, again=again)
            if isinstance(reservation, Refusal):
                self._refusals.append(reservation.retry_after)
                self._awaited = self._awaited or reservation.kind == "parallel" or reservation.pending
                subject = target.meter.subject.removeprefix("key:")
                tx.live.metrics.rate_limited("key", subject, reservation.kind)
                return None
            choice = Choice(target, translated, upstream, reader, reservation, ticket)
        except Unsupported as unsupported:
            self._barred[target.service.id] = unsupported
            return None
        finally:
            if choice is None:  # refused, cancelled or a plugin's bug: a probe must not be held for ever
                target.state.circuit.on_neutral(ticket)
        key = target.secret.state
        if key.near_limit or max(target.meter.request_share, target.meter.token_share) >= NEAR_LIMIT:
            self._note_near_limit(target)
        tx.clamped = tx.asked[0] if tx.asked is not None and translated.call.max_tokens is not None else None
        tx.dropped = dropped
        return choice

    def _note_near_limit(self, target: Target) -> None:
        """Say once that a key's windows have filled up to `NEAR_LIMIT`, until all have emptied again."""
        filled = {
            reading.kind: reading.used / reading.limit
            for reading in target.meter.readings()
            if reading.kind != "parallel" and reading.used >= NEAR_LIMIT * reading.limit
        }
        key = target.secret.state
        if filled and not key.near_limit:
            for kind, share in filled.items():
                self._tx.live.metrics.near_limit(target.provider, target.key, kind)
                facts = {"provider": target.provider, "key": target.key, "window": kind}
                log.warning("provider key is near its limit", extra={**facts, "share": round(share, 3)})
        key.near_limit = bool(filled)

    def _keys(self) -> Hashable:
        """Names the keys this request may use: who may use the same ones waits in the same line."""
        client = self._tx.client
        return self._tx.demand.pool, client.providers, client.models

    async def _in_line(self) -> Choice | None:
        """Wait in line for room; None if there is none within ``max_wait``, nor in time to use it."""
        loop = asyncio.get_running_loop()
        # Who gets room is not known yet: the least patient provider's deadline counts.
        self._deadline = min(self._deadline, *map(self._tx.deadline_at, self._targets), math.inf)
        patience = self._deadline - WORTHWHILE - time.monotonic()
        if self._until is None:
            self._until = loop.time() + min(self._max_wait, patience)
        until = self._until
        choice, in_turn, looked = None, True, 0.0
        queue = self._tx.live.queue
        with self._tx.waiting(), queue.join(self._keys(), self._tx.client.id, until) as place:
            while in_turn and choice is None:
                wait = min(self._refusals, default=None)
                if wait is not None and loop.time() + wait > until and not self._awaited:
                    break
                if wait is not None and self._awaited:
                    wait = min(wait, max(LOOK, REST * looked))
                in_turn = await place.turn(wait)
                if time.monotonic() + WORTHWHILE > self._deadline:
                    self._refusals = self._refusals or [SOON]
                    break
                self._refusals.clear()
                self._awaited = False
                self._fallbacks = None
                began = loop.time()
                choice = await self._try()
                looked = loop.time() - began
                if not self._refusals:
                    break
        return choice

    def _exhausted(self) -> ApiError:
        """Why there is no further attempt, in the words that help most."""
        unsupported = next((reason for reason in self._barred.values() if reason), None)
        wait = shortest_rest({*self._targets, *self._tried}, self._refusals)
        error = exhausted(self._tx, self._targets, self._failure, wait, unsupported)
        retried = error.status >= 429 or error.status == 409  # by SDKs
        if retried and (self._last is not None or error.code == "upstream_auth_error"):
            error.headers["x-should-retry"] = "false"
        return error


def allowing_first(tx: Transaction, ranked: Sequence[Target]) -> Sequence[Target]:
    """Candidates that allow as many output tokens as were asked come first."""
    asked = tx.asked
    if asked is None or not any(0 < t.secret.max_tokens < asked[1] for t in ranked):
        return ranked
    return sorted(ranked, key=lambda t: 0 < t.secret.max_tokens < asked[1])


def billed(tx: Transaction, outcome: Outcome) -> bool:
    """Whether a failed attempt was an answer nevertheless, and paid for: a whole one, of no use."""
    return outcome.kind is Kind.INVALID and not tx.stream


def _load(target: Target) -> tuple[float, int]:
    """How much of the fuller of its windows a key has used, and what it has in flight."""
    return max(target.meter.request_share, target.meter.token_share), target.meter.in_flight
