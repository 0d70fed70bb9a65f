"""What an attempt's end teaches about its key: health, circuit, cool-downs, metrics, the attempt list."""

from __future__ import annotations

import logging
import time

from gateway.api import Attempt, Kind, Outcome
from gateway.catalog import Target
from gateway.request.transaction import Transaction

log = logging.getLogger(__name__)

_UNHEALTHY = frozenset({Kind.OVERLOADED, Kind.FAILED, Kind.TIMEOUT, Kind.INVALID})
CANCELLED = "cancelled"


async def succeeded(tx: Transaction, target: Target, began: float, first_token: float, status: int) -> None:
    """``began`` and ``first_token`` (of a stream; else the end) in monotonic seconds."""
    now = time.monotonic()
    target.state.health.record_success(now, first_token - began)
    target.state.circuit.on_success(now)
    target.secret.state.penalty.succeeded()
    _note(tx, target, now - began, status, "ok")


async def failed(tx: Transaction, target: Target, began: float, outcome: Outcome) -> None:
    """Count the failure where it belongs: the caller's own mistakes count against nobody."""
    now = time.monotonic()
    state, penalty = target.secret.state, target.secret.state.penalty
    if outcome.kind in _UNHEALTHY:
        target.state.health.record_failure(now)
        target.state.circuit.on_failure(now)
    else:
        target.state.circuit.on_neutral(now)
    seconds = 0.0
    if outcome.kind is Kind.KEY:
        seconds = penalty.rejected()
    elif outcome.kind is Kind.QUOTA:
        seconds = penalty.out_of_quota()
    elif outcome.kind is Kind.LIMITED:
        seconds = penalty.limited(outcome.retry_after)
    elif outcome.kind is Kind.OVERLOADED:
        seconds = penalty.overloaded(outcome.retry_after)
    if seconds > 0:
        await tx.live.store.cool(state.meter, seconds)
    tx.live.memory.trouble(now + seconds)
    state.last_error = outcome.message
    if outcome.kind in (Kind.KEY, Kind.QUOTA):
        log.error(
            "provider rejected key",
            extra={"provider": target.provider, "key": target.key, "disabled_seconds": round(seconds)},
        )
    _note(tx, target, now - began, outcome.status, outcome.kind.name.lower())


def cancelled(tx: Transaction, target: Target, began: float, status: int) -> None:
    """The client went away: nobody's fault."""
    now = time.monotonic()
    target.state.circuit.on_neutral(now)
    _note(tx, target, now - began, status, CANCELLED)


def _note(tx: Transaction, target: Target, seconds: float, status: int, outcome: str) -> None:
    tx.upstream_seconds += seconds
    tx.attempts.append(
        Attempt(target.provider, target.key, target.model, status, outcome, round(seconds * 1000, 3))
    )
    tx.live.metrics.attempt(target.provider, target.key, outcome)
