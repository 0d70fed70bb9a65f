"""Questions to the usage records: which of them are meant, within what time, and how figures are shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import orjson
from aiohttp import web

from gateway.admin.errors import AdminError
from gateway.admin.query import Query
from gateway.admin.state import ADMIN
from gateway.api import Filter, Record, Total
from gateway.logs import rfc3339

PATIENCE = 5.0
"""Seconds that a question may take, the wait for its turn included."""
RANGE = ("start", "end")
NAMES = ("client", "provider", "key", "model")
_NANO = 10**9

T = TypeVar("T")


async def ask(request: web.Request, question: Callable[[], Awaitable[T]]) -> T:
    """What the store answers; a few questions at a time. Raises `AdminError` 504 if it takes too long."""
    try:
        async with asyncio.timeout(PATIENCE), request.app[ADMIN].queries:
            return await question()
    except TimeoutError:
        raise AdminError(
            504, f"The question took longer than {PATIENCE:.0f} s: ask for a shorter range."
        ) from None


def read_range(query: Query) -> Filter:
    """``start`` and ``end``, of which either may be open. Raises `AdminError` 400."""
    start, end = query.moment("start"), query.moment("end")
    if start is not None and end is not None and end < start:
        raise AdminError(400, "end: is before start.")
    return Filter(start=start, end=end)


def by_names(query: Query, span: Filter) -> Filter:
    """``span`` narrowed to the client, provider, key and model that are asked for."""
    return replace(
        span,
        client=query.text("client"),
        provider=query.text("provider"),
        key=query.text("key"),
        model=query.text("model"),
    )


def dollars(nano: int | None) -> orjson.Fragment | None:
    """Nano-dollars as an exact decimal number of dollars."""
    if nano is None:
        return None
    sign, nano = ("-", -nano) if nano < 0 else ("", nano)
    return orjson.Fragment(f"{sign}{nano // _NANO}.{nano % _NANO:09d}".rstrip("0").rstrip("."))


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
