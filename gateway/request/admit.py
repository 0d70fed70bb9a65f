"""The client's own limits: checked and taken before any upstream is asked, settled when the request ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from gateway.api import ApiError, Refusal, Reservation
from gateway.catalog import Target
from gateway.request.budget import worst_cost
from gateway.request.head import go_duration, usd
from gateway.request.transaction import Transaction

_CODES = {
    "requests": "rate_limit_exceeded",
    "tokens": "token_limit_exceeded",
    "session": "session_limit_exceeded",
    "parallel": "parallel_limit_exceeded",
}
_WORDS = {
    "requests": "{limit} requests a minute",
    "tokens": "{limit} tokens a minute",
    "session": "{limit} tokens a session",
    "parallel": "{limit} requests at once",
}


async def admit(tx: Transaction, targets: Sequence[Target]) -> Reservation:
    """Take the request's place in the client's windows. Raises `ApiError` 429 where there is none."""
    tokens = tx.demand.input_tokens + tx.demand.output_tokens
    meter = tx.client.meter
    tx.reserved_cost = worst_cost(tx, targets) if meter.limits.budget else 0
    return _granted(tx, await tx.live.store.reserve(meter, tokens, cost=tx.reserved_cost))


async def admit_unbilled(tx: Transaction) -> Reservation:
    """The place of a request that no upstream is asked for: it uses neither tokens nor money."""
    return _granted(tx, await tx.live.store.reserve(tx.client.meter, 0))


def _granted(tx: Transaction, taken: Reservation | Refusal) -> Reservation:
    if not isinstance(taken, Refusal):
        return taken
    tx.live.metrics.rate_limited("client", tx.client.id, taken.kind)
    if taken.kind == "budget":
        raise _spent(tx, taken)
    remaining = {r.kind: max(r.limit - r.used, 0) for r in tx.client.meter.readings()}
    raise ApiError(
        _CODES[taken.kind],
        f"This API key's limit of {_WORDS[taken.kind].format(limit=taken.limit)} is reached.",
        retry_after=taken.retry_after,
        details={
            "limit": taken.limit,
            "remaining": remaining.get(taken.kind, 0),
            "retry_after": round(taken.retry_after, 3),
        },
    )


def _spent(tx: Transaction, refusal: Refusal) -> ApiError:
    """The budget has no room for what the request may cost; ``details`` are in US dollars."""
    used = next((r.used for r in tx.client.meter.readings() if r.kind == "budget"), refusal.limit)
    window = _span(tx.client.meter.limits.budget_seconds)
    resets = datetime.now(UTC) + timedelta(seconds=refusal.retry_after)
    error = ApiError(
        "insufficient_quota",
        f"This API key's budget of ${usd(refusal.limit)} in any {window} has no room for this request: "
        f"${usd(used)} of it are spent or reserved. It has again in {_span(refusal.retry_after)}, "
        f"at {resets:%Y-%m-%dT%H:%M:%SZ}, or before if requests in flight cost less than they may.",
        retry_after=refusal.retry_after,
        details={
            "limit": refusal.limit / 10**9,
            "remaining": max(refusal.limit - used, 0) / 10**9,
            "retry_after": round(refusal.retry_after, 3),
        },
    )
    error.headers["x-should-retry"] = "false"
    return error


def _span(seconds: float) -> str:
    """A time as people say it."""
    return f"{seconds / 86400:.3g} days" if seconds > 86400 else go_duration(seconds)
