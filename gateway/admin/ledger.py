"""Questions to the usage records, and how figures are shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeVar

from gateway.admin.errors import AdminError
from gateway.admin.state import AdminState
from gateway.api import Record, StoreUnavailable, Total
from gateway.logs import rfc3339

PATIENCE = 5.0
"""Seconds that a question may take, the wait for its turn included."""

T = TypeVar("T")


async def ask(state: AdminState, question: Callable[[], Awaitable[T]]) -> T:
    """What the store answers; a few questions at a time. Raises `AdminError` 504 if it takes too long, and
    `StoreUnavailable` if that is no wonder."""
    try:
        async with asyncio.timeout(PATIENCE), state.queries:
            return await question()
    except TimeoutError:
        if (trouble := state.live.store.trouble()) is not None:
            raise StoreUnavailable(f"no answer within {PATIENCE:.0f} s; {trouble.message}") from None
        raise AdminError(
            504, f"The question took longer than {PATIENCE:.0f} s: ask for a shorter range."
        ) from None


def dollars(nano: int | None) -> Decimal | None:
    """Nano-dollars as an exact number of dollars."""
    return None if nano is None else Decimal(nano).scaleb(-9).normalize()


def total_json(total: Total) -> dict[str, Any]:
    """What a number of requests come to."""
    return {
        "queries": total.requests,
        "errors": total.errors,
        "tokens": total.input_tokens + total.output_tokens,
        "input_tokens": total.input_tokens,
        "cached_tokens": total.cached_tokens,
        "output_tokens": total.output_tokens,
        "reasoning_tokens": total.reasoning_tokens,
        "cost": dollars(total.cost_nano),
        "cost_nano_usd": total.cost_nano,
        "unpriced": total.unpriced,
        "latency": latency_json(total),
        "first_token_ms": _mean_ms(total.first_token_us, total.first_tokens),
    }


def latency_json(total: Total) -> dict[str, float | None]:
    """Total times in milliseconds; null without requests."""
    shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    return {
        "mean_ms": _mean_ms(total.duration_us, total.requests),
        **{name: _rounded(total.percentile_ms(share)) for name, share in shares.items()},
    }


def record_json(record: Record) -> dict[str, Any]:
    """A usage record, as in the log, its cost in exact dollars beside the nano-dollars."""
    return {
        **record.to_json(),
        "time": rfc3339(record.time),
        "cost_usd": dollars(record.cost_nano_usd),
    }


def _mean_ms(microseconds: int, count: int) -> float | None:
    return round(microseconds / count / 1000, 3) if count else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
