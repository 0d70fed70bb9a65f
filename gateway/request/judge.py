"""What an attempt's end teaches about its key: health, circuit, cool-downs, metrics, the attempt list."""

from __future__ import annotations

import logging
import time

from gateway.api import Attempt, Kind, Outcome
from gateway.catalog import Target
from gateway.request.plan import Choice
from gateway.request.transaction import Transaction

log = logging.getLogger(__name__)

_UNHEALTHY = frozenset({Kind.OVERLOADED, Kind.FAILED, Kind.TIMEOUT, Kind.INVALID})
CANCELLED = "cancelled"
OVERDUE = Kind.TIMEOUT.name.lower()


def succeeded(tx: Transaction, choice: Choice, began: float, first_token: float, status: int) -> None:
    """``began`` and ``first_token`` (of a stream; else the end) in monotonic seconds."""
    now = time.monotonic()
    target = choice.target
    if tx.demand.prefix:
        tx.live.memory.uses.note(tx.demand.prefix, target, now)
    target.state.health.record_success(now, first_token - began)
    target.state.circuit.on_success(now, choice.ticket)
    target.secret.state.penalty.on_success()
    tx.live.memory.accept(target.secret.state, began)
    _note(tx, target, now - began, status, "ok")


def failed(tx: Transaction, choice: Choice, began: float, outcome: Outcome, status: int) -> None:
    """Count the failure where it belongs: the caller's own mistakes count against nobody. ``status``: of the
    answer, where the outcome names none."""
    now = time.monotonic()
    target = choice.target
    key = target.secret.state
    if outcome.kind in _UNHEALTHY:
        target.state.health.record_failure(now)
        target.state.circuit.on_failure(now, choice.ticket)
    else:
        target.state.circuit.on_neutral(choice.ticket)
    key.last_error, key.last_error_at = outcome.message, time.time()
    seconds = key.penalty.on_failure(outcome, now)
    if seconds > 0:
        tx.live.memory.cool(key, seconds, now)
    if outcome.kind in (Kind.KEY, Kind.QUOTA):
        log.error(
            "provider rejected key",
            extra={"provider": target.provider, "key": target.key, "disabled_seconds": round(seconds)},
        )
    _note(tx, target, now - began, outcome.status or status, outcome.kind.name.lower())


def cut_short(tx: Transaction, choice: Choice, began: float, status: int, outcome: str) -> None:
    """What says nothing of the key: the client went away (`CANCELLED`), or the deadline of the whole request
    came long before the provider's own (`OVERDUE`)."""
    choice.target.state.circuit.on_neutral(choice.ticket)
    _note(tx, choice.target, time.monotonic() - began, status, outcome)


def _note(tx: Transaction, target: Target, seconds: float, status: int, outcome: str) -> None:
    tx.upstream_seconds += seconds
    tx.attempts.append(
        Attempt(target.provider, target.key, target.model, status, outcome, round(seconds * 1000, 3))
    )
    tx.live.metrics.attempt(target.provider, target.key, outcome)
