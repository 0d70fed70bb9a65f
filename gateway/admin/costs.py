"""What a request cost, by class of tokens and by other units."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gateway.admin.state import AdminState
from gateway.api import Prices, Record, Units, Usage

CLASSES = ("input", "cache_read", "output", "reasoning")
"""Those that a record tells apart: in it audio and writes to a cache are among the first and the third."""
_FALLBACK = {"cache_read": "input", "reasoning": "output"}
_UNITS = {
    "images": ("image", 1),
    "audio_seconds": ("audio_minute", 60),
    "characters": ("character", 1000),
    "searches": ("search", 1),
}
"""The price of each, and for how many of it that is."""


def parts(state: AdminState, record: Record) -> dict[str, list[dict[str, Any]]]:
    """``classes``: tokens of each class, their price per 1,000 and what they come to, exactly; ``by_unit``:
    the same of other units, whose price is for an image, a minute, 1,000 characters or a search. A record
    keeps its cost, not the prices: where those of now do not give that cost, prices and parts are None."""
    usage, units = _usage(record), record.units or {}
    prices = _prices(state, record)
    if prices is None or record.cost_nano_usd is None or _cost(prices, record, usage) != record.cost_nano_usd:
        prices = None
    of_tokens = None if units and record.estimated else prices  # nobody counted what they cost
    return {
        "classes": [_of_class(of_tokens, name, getattr(usage, name)) for name in CLASSES],
        "by_unit": [_of_unit(prices, name, count) for name, count in units.items()],
    }


def _cost(prices: Prices, record: Record, usage: Usage) -> int | None:
    return prices.cost_by_unit(usage) if record.units else prices.cost(usage)


def _usage(record: Record) -> Usage:
    return Usage(
        input=record.input_tokens - record.cached_tokens,
        cache_read=record.cached_tokens,
        output=record.output_tokens - record.reasoning_tokens,
        reasoning=record.reasoning_tokens,
        estimated=record.estimated,
        units=Units.of(record.units or {}),
    )


def _prices(state: AdminState, record: Record) -> Prices | None:
    """The prices of now at which its key serves its model."""
    catalog = state.live.current.catalog
    service = catalog.services.get(record.provider or "")
    if service is None or record.model is None:
        return None
    targets = catalog.targets(service, record.model)
    return next((target.prices for target in targets if target.key == record.key), None)


def _of_class(prices: Prices | None, name: str, tokens: int) -> dict[str, Any]:
    price: Decimal | None = getattr(prices, name, None)
    if price is None and name in _FALLBACK:
        price = getattr(prices, _FALLBACK[name], None)
    cost = None if price is None else (tokens * price / 1000).normalize()
    return {"class": name, "tokens": tokens, "price": price, "cost_usd": cost}


def _of_unit(prices: Prices | None, name: str, count: float) -> dict[str, Any]:
    priced_as, size = _UNITS[name]
    price: Decimal | None = getattr(prices, priced_as, None)
    cost = None if price is None else (Decimal(str(count)) * price / size).normalize()
    return {"unit": name, "count": count, "price": price, "cost_usd": cost}
