"""Money is exact: held against fractions, which never round."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Prices, Usage

CLASSES = ["input", "cache_read", "cache_write", "audio_input", "output", "reasoning", "audio_output"]
FALLBACK = {
    "cache_read": "input",
    "cache_write": "input",
    "audio_input": "input",
    "reasoning": "output",
    "audio_output": "output",
}
counts = st.integers(0, 10**9)
price = st.decimals(0, 1000, places=9)
usages = st.builds(Usage, **dict.fromkeys(CLASSES, counts))
prices = st.builds(
    Prices,
    input=price,
    output=price,
    **dict.fromkeys(FALLBACK, st.none() | price),
)
properties = settings(max_examples=100, deadline=None)


def exact(own: Prices, usage: Usage) -> Fraction:
    """Nano-dollars before rounding."""
    total = Fraction(0)
    for name in CLASSES:
        per_thousand = getattr(own, name)
        if per_thousand is None:
            per_thousand = getattr(own, FALLBACK[name])
        total += getattr(usage, name) * Fraction(per_thousand) / 1000 * 10**9
    return total


def with_count(usage: Usage, name: str, count: int) -> Usage:
    """The same usage but for one class."""
    other = replace(usage)
    setattr(other, name, count)
    return other


def test_the_classes_are_all_there_are() -> None:
    """So that a new one cannot be forgotten here."""
    assert {field.name for field in fields(Prices)} == set(CLASSES)
    assert {field.name for field in fields(Usage)} == {*CLASSES, "estimated"}


@properties
@given(own=prices, usage=usages)
def test_cost_is_the_exact_sum_rounded_once_half_to_even(own: Prices, usage: Usage) -> None:
    assert own.cost(usage) == round(exact(own, usage))  # round(Fraction) is half to even


@pytest.mark.parametrize(("tokens", "nano"), [(1, 0), (3, 2), (5, 2), (7, 4), (2, 1)])
def test_a_half_goes_to_the_even_neighbour(tokens: int, nano: int) -> None:
    half_a_nano = Prices(input=Decimal("0.0000005"), output=Decimal(0))
    assert half_a_nano.cost(Usage(input=tokens)) == nano


def test_classes_are_summed_before_rounding() -> None:
    """Two halves make one; each rounded by itself they would be nothing."""
    half_a_nano = Prices(input=Decimal("0.0000005"), output=Decimal("0.0000005"))
    assert half_a_nano.cost(Usage(input=1, output=1)) == 1


@properties
@given(own=prices, usage=usages, name=st.sampled_from(CLASSES), more=counts)
def test_more_tokens_never_cost_less(own: Prices, usage: Usage, name: str, more: int) -> None:
    dearer = with_count(usage, name, getattr(usage, name) + more)
    before, after = own.cost(usage), own.cost(dearer)
    assert before is not None
    assert after is not None
    assert 0 <= before <= after


@properties
@given(own=prices, usage=usages, name=st.sampled_from(sorted(FALLBACK)))
def test_a_class_without_a_price_costs_what_its_fallback_does(own: Prices, usage: Usage, name: str) -> None:
    unpriced = replace(own, **{name: None})
    spelled_out = replace(own, **{name: getattr(own, FALLBACK[name])})
    assert unpriced.cost(usage) == spelled_out.cost(usage)


@properties
@given(own=prices, usage=usages, name=st.sampled_from(sorted(FALLBACK)))
def test_a_free_class_is_free(own: Prices, usage: Usage, name: str) -> None:
    free = replace(own, **{name: Decimal(0)})
    assert free.cost(usage) == free.cost(with_count(usage, name, 0))


@properties
@given(own=prices, usage=usages, name=st.sampled_from(["input", "output"]))
def test_an_unknown_price_is_unknown_not_free(own: Prices, usage: Usage, name: str) -> None:
    unknown = replace(own, **{name: None})
    assert not unknown.known
    assert unknown.cost(usage) is None
    assert unknown.cost(Usage()) is None


@properties
@given(usage=usages)
def test_every_token_is_counted_once(usage: Usage) -> None:
    assert usage.total == usage.prompt + usage.completion == sum(getattr(usage, name) for name in CLASSES)
