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
    "budget": "insufficient_quota",
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
    raise _refused(tx, taken)


def _refused(tx: Transaction, refusal: Refusal) -> ApiError:
    """What the client is told. Only a spent budget is not worth another try soon."""
    code, limit, used = _CODES[refusal.kind], _limit(tx, refusal), _used(tx, refusal)
    spent = False
    if refusal.partial:
        if refusal.kind == "budget":  # which is not spent, as far as is known
            code = "rate_limit_exceeded"
        message = (
            f"Only a part of this API key's {limit} may be used while the store that keeps it is out of "
            "reach, and that part has no room for this request."
        )
    elif refusal.pending:
        message = (
            f"This API key's {limit} has no room for this request until some of those in flight end: the "
            "rest of it is reserved for what they may use."
        )
    elif refusal.kind == "budget":
        spent = True
        resets = datetime.now(UTC) + timedelta(seconds=refusal.retry_after)
        message = (
            f"This API key's {limit} has no room for this request: ${usd(used)} of it is spent, reserved or "
            f"held by other processes. There will be room again in {_span(refusal.retry_after)}, at "
            f"{resets:%Y-%m-%dT%H:%M:%SZ}, or sooner if requests in flight cost less than they may."
        )
    else:
        message = f"This API key's {limit} is reached."
    error = ApiError(code, message, retry_after=refusal.retry_after, details=_details(refusal, used))
    if spent:
        error.headers["x-should-retry"] = "false"
    return error


def _limit(tx: Transaction, refusal: Refusal) -> str:
    """The limit that refused, in words."""
    if refusal.kind == "budget":
        return f"budget of ${usd(refusal.limit)} in any {_span(tx.client.meter.limits.budget_seconds)}"
    return f"limit of {_WORDS[refusal.kind].format(limit=refusal.limit)}"


def _used(tx: Transaction, refusal: Refusal) -> int:
    readings = tx.client.meter.readings()
    return next((reading.used for reading in readings if reading.kind == refusal.kind), refusal.limit)


def _details(refusal: Refusal, used: int) -> dict[str, float]:
    """For programs; a budget in US dollars."""
    figures: dict[str, float] = {"limit": refusal.limit, "remaining": max(refusal.limit - used, 0)}
    if refusal.kind == "budget":
        figures = {name: figure / 10**9 for name, figure in figures.items()}
    return {**figures, "retry_after": round(refusal.retry_after, 3)}


def _span(seconds: float) -> str:
    """A time as people say it."""
    return f"{seconds / 86400:.3g} days" if seconds > 86400 else go_duration(seconds)
