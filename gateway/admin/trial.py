"""Trying a provider's key with one tiny request, past routing: all it teaches is the upstream's headroom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.api import Call, Refusal, Unsupported
from gateway.catalog import Target
from gateway.request.attempt import WholeAttempt
from gateway.request.local import sender_of
from gateway.runtime import Live

DEADLINE = 10.0
"""Seconds until a key that does not answer has failed."""
_TOKENS = 32
"""What the request is expected to use."""
_QUESTIONS: Mapping[str, Mapping[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "Answer with the one word: ok"}]},
    "embeddings": {"input": "ok"},
    "rerank": {"query": "ok", "documents": ["ok"]},
    "moderations": {"input": "ok"},
}
"""What is asked, of the first operation here that the provider has: the others cost more than a try may."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How it went."""

    key: str
    ok: bool
    status: int
    """The upstream's HTTP status; 0 where there was none."""
    ms: float
    error: str | None
    """In the upstream's words, without the key."""


async def try_key(live: Live, target: Target) -> Trial:
    """The request is real: it counts in the key's windows, even beyond their limits."""
    service, key = target.service, target.secret
    provider = service.plugin
    operation = next((name for name in _QUESTIONS if name in provider.operations), None)
    if operation is None:
        return Trial(key.id, False, 0, 0.0, "This provider cannot be tried: all it can do costs too much.")
    body = {"model": target.model, **_QUESTIONS[operation]}
    call = Call(operation, target.model, body, dialect=operation)
    try:
        upstream = provider.prepare(call, key.secret)
    except Unsupported as unsupported:
        return Trial(key.id, False, 0, 0.0, f"This provider cannot be tried: {unsupported}.")
    upstream.headers.extend(service.headers)
    attempt = WholeAttempt(target, provider.reader(call))
    taken = await live.store.reserve(key.state.meter, _TOKENS, force=True)
    began = time.monotonic()
    try:
        outcome = await attempt.run(
            sender_of(target, call, live.upstream),
            upstream,
            min(service.timeouts.connect, DEADLINE),
            asyncio.get_running_loop().time() + DEADLINE,
        )
    finally:
        if not isinstance(taken, Refusal):
            usage = attempt.reader.usage
            await live.store.settle(taken, usage.total if usage is not None else 0)
    ms = round((time.monotonic() - began) * 1000, 3)
    if outcome is None:
        return Trial(key.id, True, attempt.status, ms, None)
    return Trial(key.id, False, outcome.status or attempt.status, ms, outcome.message)
