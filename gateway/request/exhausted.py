"""Why there is no further attempt, in the words that help most."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from gateway.api import ApiError, Kind, Outcome, Source, Unsupported
from gateway.catalog import Target
from gateway.request.errors import from_outcome
from gateway.request.transaction import Transaction
from gateway.routing.circuit import CircuitState

_RESTING = frozenset({Kind.LIMITED, Kind.OVERLOADED, Kind.KEY, Kind.QUOTA})
"""Failures after which a key is not used for a while."""
_HOPE = {
    Kind.CALLER: 4,
    Kind.LIMITED: 3,
    Kind.OVERLOADED: 3,
    Kind.FAILED: 2,
    Kind.TIMEOUT: 2,
    Kind.INVALID: 2,
    Kind.KEY: 1,
    Kind.QUOTA: 1,
    Kind.MODEL: 0,
}
"""How likely it is that the same request is answered a little later; the caller's own mistake ends it."""


def more_hopeful(one: Outcome | None, other: Outcome) -> Outcome:
    """The one to report: that nobody has the model is true only if all say so. ``other`` came later."""
    return other if one is None or _HOPE[other.kind] >= _HOPE[one.kind] else one


def disabled(target: Target, now: float) -> bool:
    """Whether its key is switched off or rejected: not worth waiting for."""
    key = target.secret.state
    return key.off or key.penalty.disabled(now)


def shortest_rest(targets: Collection[Target], refusals: Sequence[float]) -> float | None:
    """Seconds until the first key is free that is limited or cooling down; disabled ones do not count."""
    now = time.monotonic()
    waits = [t.meter.cooled_until - now for t in targets if not disabled(t, now)]
    return min([*(wait for wait in waits if wait > 0), *refusals], default=None)


def exhausted(
    tx: Transaction,
    targets: Sequence[Target],
    failure: Outcome | None,
    wait: float | None,
    unsupported: Unsupported | None,
) -> ApiError:
    """The error for a client whose attempts are over. ``failure``: the most hopeful of theirs; ``wait``: see
    `shortest_rest`; ``unsupported``: what some provider cannot do."""
    if failure is not None and failure.kind not in _RESTING:
        error = from_outcome(failure)
        error.param = error.param and tx.operation.dialect.named(error.param)
        return error
    if failure is None and unsupported is not None:
        param = tx.operation.dialect.named(unsupported.param)
        return ApiError(
            "unsupported_parameter",
            f"No provider of this model supports {param!r}"
            + (f": {unsupported.reason}." if unsupported.reason else "."),
            param=param,
        )
    if failure is not None and (wait is None or failure.kind is Kind.OVERLOADED):
        error = from_outcome(failure)
        error.retry_after = wait or failure.retry_after
        return error
    if wait is not None:
        error = ApiError(
            "upstream_rate_limited",
            "Every provider key for this model is at its limit or cooling down.",
            retry_after=wait,
            details={"limit": None, "remaining": 0, "retry_after": round(wait, 3)},
        )
        if failure is None and not _troubled(targets):
            error.source = Source.POLICY
        return error
    return _unavailable(tx, targets)


def _troubled(targets: Sequence[Target]) -> bool:
    """Whether a provider has its part in it that none of them is used: else only our own limits do."""
    now = time.monotonic()
    return any(
        now < target.meter.cooled_until or target.state.circuit.state(now) is CircuitState.OPEN
        for target in targets
    )


def _unavailable(tx: Transaction, targets: Sequence[Target]) -> ApiError:
    if targets and all(t.secret.state.off for t in targets):
        return ApiError("no_provider_available", "Every provider key for this model has been disabled.")
    now = time.monotonic()
    if targets and all(disabled(t, now) for t in targets):
        return from_outcome(Outcome(Kind.KEY, 0, ""))
    return ApiError(
        "no_provider_available",
        "No provider of this model is available: each one failed too often lately.",
        retry_after=tx.runtime.config.policy.circuit_breaker.cooldown,
    )
