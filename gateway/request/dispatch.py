"""The one attempt loop, for every operation, streaming or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from aiohttp import web

from gateway.api import ApiError, Chunk, Kind, Outcome, Reservation, Usage
from gateway.catalog import Target
from gateway.request import judge
from gateway.request.account import charged, reckoned, settle
from gateway.request.admit import admit
from gateway.request.attempt import Attempt, StreamAttempt, WholeAttempt
from gateway.request.ending import streamed, whole
from gateway.request.errors import draining, from_outcome, internal
from gateway.request.head import line, stream_head, usd
from gateway.request.local import sender_of
from gateway.request.plan import WORTHWHILE, Choice, Plan, billed
from gateway.request.relay import Relay
from gateway.request.transaction import Transaction, relay_to
from gateway.server import Direct

FAIR = 0.5
"""The part of its time an attempt must have had for its time-out to be the provider's failure."""


async def ask(
    tx: Transaction, targets: Sequence[Target], answering: Answering | None = None
) -> web.StreamResponse:
    """Let a provider answer, within the client's limits. ``answering`` makes the answer object where neither
    `WholeAnswer` nor `StreamAnswer` will do. Raises as `dispatch` does, and `ApiError` 429."""
    admission = await admit(tx, targets)
    try:
        return await dispatch(tx, targets, answering, admission)
    finally:
        if tx.tries:
            await _settle_admission(tx, admission)
        else:
            await tx.live.store.release(admission)


async def _settle_admission(tx: Transaction, admission: Reservation) -> None:
    """Charge the client what was used instead of what was reserved. A second call does nothing."""
    used = tx.usage.total if tx.usage is not None else 0
    await tx.live.store.settle(admission, used, charged(tx))


async def dispatch(
    tx: Transaction,
    targets: Sequence[Target],
    answering: Answering | None = None,
    admission: Reservation | None = None,
) -> web.StreamResponse:
    """Try candidates until one answers. Raises `ApiError` if none does and nothing was sent yet.

    ``admission``: the reservation in the client's own windows. It is settled before the head of the answer is
    made, because the head says how much of these windows is left.
    """
    plan = Plan(tx, targets)
    answer = (answering or _answering)(tx)
    try:
        while True:
            choice = await plan.next()
            tx.target = choice.target
            tx.tries += 1
            outcome = await _attempt(tx, choice, answer)
            if outcome is None:
                if admission is not None:
                    await _settle_admission(tx, admission)
                return answer.response()
            if answer.committed:
                raise from_outcome(outcome)
            plan.failed(choice.target, outcome)
    except ApiError as error:
        if not answer.started:
            raise
        return answer.broken(error)
    except asyncio.CancelledError:
        if not answer.started or tx.http.transport is None:
            raise
        return answer.broken(draining())  # the client is still there: it is us who stop
    except Exception:
        if not answer.started:
            raise
        return answer.broken(internal(tx.request_id))
    finally:
        answer.close()


async def _attempt(tx: Transaction, choice: Choice, answer: WholeAnswer | StreamAnswer) -> Outcome | None:
    """One attempt, timed, judged and settled, however it ends."""
    target = choice.target
    attempt = answer.attempt(choice)
    began = time.monotonic()
    timeouts = target.service.timeouts
    limit = tx.runtime.config.policy.retry.timeout
    if limit is None:
        limit = timeouts.first_token if tx.stream else timeouts.total
    loop = asyncio.get_running_loop()
    left = min(limit, tx.deadline - began)
    client = sender_of(target, choice.translation.call, tx.live.upstream)
    try:
        outcome = await attempt.run(client, choice.upstream, min(timeouts.connect, left), loop.time() + left)
    except asyncio.CancelledError:
        judge.cut_short(tx, choice, began, attempt.status, judge.CANCELLED)
        await settle(tx, choice, attempt.reader if attempt.sent else None)
        tx.partial = True
        raise
    tx.upstream_request_id = attempt.request_id
    if outcome is None:
        judge.succeeded(tx, choice, began, answer.first_token or time.monotonic(), attempt.status)
    elif outcome.kind is Kind.TIMEOUT and left < FAIR * limit and _over(began + left):
        judge.cut_short(tx, choice, began, attempt.status, judge.OVERDUE)
    else:
        judge.failed(tx, choice, began, outcome, attempt.status)
    paid = outcome is None or answer.committed or billed(tx, outcome)
    await settle(tx, choice, attempt.reader if paid else None)
    return outcome


def _over(deadline: float) -> bool:
    return time.monotonic() > deadline - WORTHWHILE  # timers are not exact


class WholeAnswer:
    """An answer that is sent in one piece once it is complete."""

    committed = False
    started = False
    first_token: float | None = None
    content_type = "application/json"
    attempt_type = WholeAttempt

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._choice: Choice | None = None
        self._attempt: WholeAttempt | None = None

    def attempt(self, choice: Choice) -> Attempt:
        self._choice = choice
        self._attempt = self.attempt_type(choice.target, choice.reader)
        return self._attempt

    def response(self) -> Direct:
        tx, choice, attempt = self._tx, self._choice, self._attempt
        assert choice is not None and attempt is not None
        encode = choice.translation.encode
        body = b"".join([encode(chunk, tx.usage, tx.cost) for chunk in attempt.chunks])
        if tx.tape is not None:
            tx.tape.write(choice.translation.unpaid(attempt.chunks, tx.usage, body))
        lines = line("x-coo-cost", usd(tx.cost)) if tx.cost is not None else ""
        return whole(tx, body, lines, self.content_type)

    def broken(self, error: ApiError) -> Direct:
        raise error

    def close(self) -> None:
        """Nothing is held."""


class StreamAnswer:
    """An answer that is relayed event by event from its first content on."""

    attempt_type = StreamAttempt

    def __init__(self, tx: Transaction, relay: Relay | None = None) -> None:
        """``relay``: the client's side of it, if that is no stream of events."""
        self._tx = tx
        self._choice: Choice | None = None
        self._attempt: StreamAttempt | None = None
        self._relay = relay or relay_to(tx, lambda: stream_head(tx.http, tx.headers()))
        self.first_token: float | None = None

    @property
    def started(self) -> bool:
        """Whether anything was sent: an error can then only be an event."""
        return self._relay.started

    @property
    def committed(self) -> bool:
        """Whether content was sent: nothing is retried then."""
        return self.first_token is not None

    def attempt(self, choice: Choice) -> Attempt:
        tx = self._tx
        target = choice.target
        loop = asyncio.get_running_loop()
        self._choice = choice
        self._attempt = self.attempt_type(
            target,
            choice.reader,
            deliver=self._deliver,
            idle=target.service.timeouts.idle,
            latest=loop.time() + tx.deadline - time.monotonic(),
        )
        if tx.tape is None:
            self._relay.attach(self._attempt.pause)
        else:
            tx.tape.lead(self._relay, self._attempt.pause)
        return self._attempt

    def _deliver(self, chunks: list[Chunk]) -> None:
        """Send what the reader made ready; called by the upstream's bytes as they arrive."""
        tx, choice, attempt = self._tx, self._choice, self._attempt
        assert choice is not None and attempt is not None
        if self.first_token is None:
            self.first_token = tx.first_token = time.monotonic()
            tx.upstream_request_id = attempt.request_id
        encode = choice.translation.encode
        if len(chunks) == 1 and not chunks[0].usage:
            if data := encode(chunks[0], None, None):
                self._relay.write(data)
                if tx.tape is not None:
                    tx.tape.write(data)
            return
        usage, price = None, None
        if any(chunk.usage for chunk in chunks):
            usage, price = reckoned(tx, choice, attempt.reader)
        data = b"".join(encode(chunk, usage, price) for chunk in chunks)
        if data:
            self._relay.write(data)
            if tx.tape is not None:
                tx.tape.write(choice.translation.unpaid(chunks, usage, data))

    def response(self) -> Direct:
        tx, choice, attempt = self._tx, self._choice, self._attempt
        assert choice is not None and attempt is not None
        ending, usage = choice.translation.ending, tx.usage or Usage()
        last = ending(attempt.reader, usage, tx.cost)
        if tx.tape is not None:
            tx.tape.ending = ending(attempt.reader, usage, 0)
        if tx.content is not None:
            tx.content.streamed(last)
        tx.status = 200
        return streamed(tx, self._relay, last)

    def broken(self, error: ApiError) -> Direct:
        """End a begun stream with its one error event, and without its proper end."""
        tx = self._tx
        tx.fail(error, 200)
        tx.partial = self.committed
        if self._choice is not None:
            events = self._choice.translation.broken(error, tx.request_id)
        else:
            events = tx.operation.dialect.error_event(error, tx.request_id)
        return streamed(tx, self._relay, events)

    def close(self) -> None:
        """Let go of the connection, however the request ended."""
        self._relay.close()


Answering = Callable[[Transaction], WholeAnswer | StreamAnswer]


def _answering(tx: Transaction) -> WholeAnswer | StreamAnswer:
    return StreamAnswer(tx) if tx.stream else WholeAnswer(tx)
