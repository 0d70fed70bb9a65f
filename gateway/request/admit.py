"""The client's own limits: checked and taken before any upstream is asked, settled when the request ends."""

from __future__ import annotations

from gateway.api import ApiError, Refusal, Reservation
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


async def admit(tx: Transaction) -> Reservation:
    """Take the request's place in the client's windows. Raises `ApiError` 429 where there is none."""
    tokens = tx.demand.input_tokens + tx.demand.output_tokens
    taken = await tx.live.store.reserve(tx.client.meter, tokens)
    if not isinstance(taken, Refusal):
        return taken
    tx.live.metrics.rate_limited("client", tx.client.id, taken.kind)
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
