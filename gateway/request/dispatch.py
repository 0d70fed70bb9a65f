"""The one attempt loop, for every operation, streaming or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from aiohttp import web

from gateway.api import ApiError, Kind, Outcome, Reservation
from gateway.catalog import Target
from gateway.request import judge
from gateway.request.account import charged, settle
from gateway.request.admit import admit
from gateway.request.answers import Answer, Answering, answering
from gateway.request.errors import draining, from_outcome, internal
from gateway.request.local import sender_of
from gateway.request.plan import WORTHWHILE, Choice, Plan, billed
from gateway.request.transaction import Transaction

FAIR = 0.5
"""The part of its time an attempt must have had for its time-out to be the provider's failure."""


async def ask(
    tx: Transaction, targets: Sequence[Target], make_answer: Answering = answering
) -> web.StreamResponse:
    """Let a provider answer, within the client's limits. Raises as `dispatch` does, and `ApiError` 429."""
    admission = await admit(tx, targets)
    try:
        return await dispatch(tx, targets, make_answer, admission)
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
    make_answer: Answering = answering,
    admission: Reservation | None = None,
) -> web.StreamResponse:
    """Try candidates until one answers. Raises `ApiError` if none does and nothing was sent yet.

    ``admission``: the reservation in the client's own windows. It is settled before the head of the answer is
    made, because the head says how much of these windows is left.
    """
    plan = Plan(tx, targets)
    answer = make_answer(tx)
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


async def _attempt(tx: Transaction, choice: Choice, answer: Answer) -> Outcome | None:
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
