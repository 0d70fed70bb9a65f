"""What a record's cost is made of."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.admin.costs import parts
from gateway.admin.state import AdminState
from gateway.api import Prices, Record

TOKENS = Prices(Decimal("0.001"), Decimal("0.002"))
BY_UNIT = Prices(
    image=Decimal("0.04"), audio_minute=Decimal("0.006"), character=Decimal("0.015"), search=Decimal("0.002")
)


def state(prices: Prices) -> AdminState:
    """One key, ``k``, that serves any model at ``prices``."""
    catalog = SimpleNamespace(
        services={"up": object()}, targets=lambda service, model: [SimpleNamespace(key="k", prices=prices)]
    )
    return cast(AdminState, SimpleNamespace(live=SimpleNamespace(current=SimpleNamespace(catalog=catalog))))


def record(**known: Any) -> Record:
    return Record(0.0, "v", "id", "one", "images", "m", provider="up", key="k", model="m", **known)


@pytest.mark.parametrize(
    ("units", "nano", "price", "cost"),
    [
        ({"images": 2}, 80_000_000, "0.04", "0.08"),
        ({"audio_seconds": 3.5}, 350_000, "0.006", "0.00035"),
        ({"characters": 6}, 90_000, "0.015", "0.00009"),
        ({"searches": 1}, 2_000_000, "0.002", "0.002"),
    ],
)
def test_units(units: dict[str, float], nano: int, price: str, cost: str) -> None:
    found = parts(state(BY_UNIT), record(units=units, cost_nano_usd=nano, input_tokens=9, estimated=True))
    ((unit, count),) = units.items()
    assert found["by_unit"] == [
        {"unit": unit, "count": count, "price": Decimal(price), "cost_usd": Decimal(cost)}
    ]
    assert {part["price"] for part in found["classes"]} == {None}


def test_units_beside_tokens() -> None:
    both = Prices(Decimal("0.001"), Decimal("0.002"), search=Decimal("0.002"))
    found = parts(state(both), record(units={"searches": 1}, input_tokens=12, cost_nano_usd=2_012_000))
    assert found["classes"][0]["cost_usd"] == Decimal("0.000012")
    assert found["by_unit"][0]["cost_usd"] == Decimal("0.002")


def test_tokens_that_nobody_counted_are_not_among_them() -> None:
    both = Prices(Decimal("0.001"), Decimal("0.002"), image=Decimal("0.04"))
    guessed = record(units={"images": 1}, input_tokens=12, estimated=True, cost_nano_usd=40_000_000)
    found = parts(state(both), guessed)
    assert {part["price"] for part in found["classes"]} == {None}
    assert found["by_unit"][0]["cost_usd"] == Decimal("0.04")


@pytest.mark.parametrize(
    "known",
    [
        {"units": {"images": 1}, "cost_nano_usd": 1},  # at another price
        {"units": {"images": 1}, "cost_nano_usd": None},
        {"input_tokens": 1, "cost_nano_usd": 5},
    ],
)
def test_other_prices_than_those_of_the_time(known: dict[str, Any]) -> None:
    found = parts(state(BY_UNIT), record(**known))
    assert {part["price"] for part in [*found["classes"], *found["by_unit"]]} == {None}
