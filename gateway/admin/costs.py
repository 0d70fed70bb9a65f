"""What a request cost, by class of tokens."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gateway.admin.state import AdminState
from gateway.api import Prices, Record, Usage

CLASSES = ("input", "cache_read", "output", "reasoning")
"""Those that a record tells apart: in it audio and writes to a cache are among the first and the third."""
_FALLBACK = {"cache_read": "input", "reasoning": "output"}


def by_class(state: AdminState, record: Record) -> list[dict[str, Any]]:
    """Tokens of each class, their price per 1,000 and what they come to, exactly. A record keeps its cost,
    not the prices: where those of now do not give that cost, prices and parts are None."""
    usage = _usage(record)
    prices = _prices(state, record)
    if prices is None or record.cost_nano_usd is None or prices.cost(usage) != record.cost_nano_usd:
        return [_part(name, getattr(usage, name), None) for name in CLASSES]
    return [_part(name, getattr(usage, name), _price(prices, name)) for name in CLASSES]


def _usage(record: Record) -> Usage:
    return Usage(
        input=record.input_tokens - record.cached_tokens,
        cache_read=record.cached_tokens,
        output=record.output_tokens - record.reasoning_tokens,
        reasoning=record.reasoning_tokens,
    )


def _prices(state: AdminState, record: Record) -> Prices | None:
    """The prices of now at which its key serves its model."""
    catalog = state.live.current.catalog
    service = catalog.services.get(record.provider or "")
    if service is None or record.model is None:
        return None
    targets = catalog.targets(service, record.model)
    return next((target.prices for target in targets if target.key == record.key), None)


def _price(prices: Prices, name: str) -> Decimal | None:
    price: Decimal | None = getattr(prices, name)
    return getattr(prices, _FALLBACK[name]) if price is None and name in _FALLBACK else price


def _part(name: str, tokens: int, price: Decimal | None) -> dict[str, Any]:
    cost = None if price is None else (tokens * price / 1000).normalize()
    return {"class": name, "tokens": tokens, "price": price, "cost_usd": cost}
