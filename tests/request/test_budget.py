"""What a request may cost at worst."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Demand, Prices, Units, Usage
from gateway.api.usage import NO_UNITS
from gateway.catalog import Target
from gateway.request import budget
from gateway.request.operations import CHAT, COMPLETIONS, EMBEDDINGS, IMAGES, Operation
from gateway.request.transaction import Transaction
from gateway.routing.estimate import OutputAverages

PLAIN = Prices(Decimal("0.001"), Decimal("0.01"))


def transaction(body: dict[str, Any], operation: Operation = CHAT, units: Units = NO_UNITS) -> Transaction:
    fallback = SimpleNamespace(enabled=False)
    tx = SimpleNamespace(
        body=body,
        operation=operation,
        asked=operation.asked_tokens(body),
        demand=Demand(100, 0, ""),
        units=units,
        live=SimpleNamespace(memory=SimpleNamespace(outputs=OutputAverages())),
        runtime=SimpleNamespace(config=SimpleNamespace(policy=SimpleNamespace(fallback=fallback))),
    )
    return cast(Transaction, tx)


def target(prices: Prices = PLAIN, ceiling: int = 0) -> Target:
    made = SimpleNamespace(prices=prices, label="m", secret=SimpleNamespace(max_tokens=ceiling))
    return cast(Target, made)


@pytest.mark.parametrize(
    ("body", "operation", "ceiling", "output"),
    [
        ({"max_tokens": 50}, CHAT, 0, 50),
        ({"max_completion_tokens": 50, "n": 3}, CHAT, 0, 150),
        ({"max_tokens": 50}, CHAT, 20, 20),
        ({}, CHAT, 20, 20),
        ({}, CHAT, 0, 4 * 256),
        ({"max_tokens": 50, "n": 2, "best_of": 4, "prompt": "one"}, COMPLETIONS, 0, 200),
        ({"max_tokens": 50, "prompt": ["one", "two"]}, COMPLETIONS, 0, 100),
        ({"max_tokens": 50, "prompt": [[1, 2], [3, 4], [5]]}, COMPLETIONS, 0, 150),
        ({"max_tokens": 50, "prompt": [1, 2, 3]}, COMPLETIONS, 0, 50),
        ({"input": ["one", "two"]}, EMBEDDINGS, 20, 0),
    ],
)
def test_output(body: dict[str, Any], operation: Operation, ceiling: int, output: int) -> None:
    worst = budget.worst_cost(transaction(body, operation), [target(ceiling=ceiling)])
    assert worst == 100 * 1000 + output * 10_000


def test_the_dearest_candidate_counts_and_one_without_a_price_does_not() -> None:
    dear = Prices(Decimal("0.002"), Decimal("0.001"))
    targets = [target(), target(dear), target(Prices())]
    assert budget.worst_cost(transaction({"max_tokens": 1}), targets) == 100 * 2000 + 1000


def test_what_may_be_billed_by_unit_costs_both() -> None:
    """Tokens too, as nobody knows before which of them the answer will count."""
    by_image = Prices(image=Decimal("0.04"))
    both = Prices(Decimal("0.001"), Decimal(0), image=Decimal("0.04"))
    tx = transaction({"n": 2}, IMAGES, Units(images=2))
    assert budget.worst_cost(tx, [target(by_image)]) == 80_000_000
    assert budget.worst_cost(tx, [target(both)]) == 80_000_000 + 100 * 1000


price = st.decimals(0, 1, places=6)


@given(st.lists(st.one_of(st.none(), price), min_size=6, max_size=6), price, price, st.data())
def test_no_mixture_of_classes_costs_more(
    others: list[Decimal | None], input: Decimal, output: Decimal, data: st.DataObject
) -> None:
    prices = Prices(input, output, *others)
    read, written, heard = (data.draw(st.integers(0, 33)) for _ in range(3))
    thought, said = (data.draw(st.integers(0, 25)) for _ in range(2))
    hour = data.draw(st.integers(0, written))
    rest = 100 - read - written - heard
    usage = Usage(rest, read, written, heard, 50 - thought - said, thought, said, cache_write_1h=hour)
    worst = budget.worst_cost(transaction({"max_tokens": 50}), [target(prices)])
    assert (prices.cost(usage) or 0) <= worst
