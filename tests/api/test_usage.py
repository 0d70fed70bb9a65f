"""Money is exact: held against fractions, which never round."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Prices, Units, Usage

CLASSES = ["input", "cache_read", "cache_write", "audio_input", "output", "reasoning", "audio_output"]
FALLBACK = {
    "cache_read": "input",
    "cache_write": "input",
    "audio_input": "input",
    "reasoning": "output",
    "audio_output": "output",
}
SIZES = {
    "image": ("images", 1),
    "audio_minute": ("audio_seconds", 60),
    "character": ("characters", 1000),
    "search": ("searches", 1),
}
"""What each price of a unit is for, and for how many of it."""
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
    assert {field.name for field in fields(Prices)} == {*CLASSES, *SIZES, "cache_write_1h"}
    assert {field.name for field in fields(Usage)} == {*CLASSES, "cache_write_1h", "estimated", "units"}
    assert {field.name for field in fields(Units)} == {name for name, _ in SIZES.values()}


@properties
@given(own=prices, usage=usages)
def test_cost_is_the_exact_sum_rounded_once_half_to_even(own: Prices, usage: Usage) -> None:
    assert own.cost(usage) == round(exact(own, usage))  # round(Fraction) is half to even


@pytest.mark.parametrize(("tokens", "nano"), [(1, 0), (3, 2), (5, 2), (7, 4), (2, 1)])
def test_a_half_goes_to_the_even_neighbour(tokens: int, nano: int) -> None:
    half_a_nano = Prices(input=Decimal("0.0000005"), output=Decimal(0))
    assert half_a_nano.cost(Usage(input=tokens)) == nano


def test_a_price_of_many_digits_is_not_rounded_before_the_cost_is() -> None:
    price = Decimal("0.00000050000000000000000000000000000000000001")
    assert Prices(input=price, output=Decimal(0)).cost(Usage(input=1)) == 1
    searched = Usage(estimated=True, units=Units(searches=1))
    assert (
        Prices(search=Decimal("0.00000000050000000000000000000000000000000000001")).cost_by_unit(searched)
        == 1
    )


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


@properties
@given(own=prices, usage=usages, dear=st.none() | price, data=st.data())
def test_what_is_kept_for_an_hour_has_its_own_price(
    own: Prices, usage: Usage, dear: Decimal | None, data: st.DataObject
) -> None:
    hour = data.draw(st.integers(0, usage.cache_write))
    written = own.input if own.cache_write is None else own.cache_write
    assert written is not None
    more = Fraction(0) if dear is None else hour * (Fraction(dear) - Fraction(written)) / 1000 * 10**9
    cost = replace(own, cache_write_1h=dear).cost(replace(usage, cache_write_1h=hour))
    assert cost == round(exact(own, usage) + more)


units = st.builds(
    Units,
    images=counts,
    audio_seconds=st.decimals(0, 10**6, places=3),
    characters=counts,
    searches=counts,
)
unit_prices = st.builds(Prices, **dict.fromkeys(SIZES, st.none() | price))


@properties
@given(own=unit_prices, counted=units)
def test_units_cost_their_exact_sum(own: Prices, counted: Units) -> None:
    total, priced = Fraction(0), False
    for name, (unit, size) in SIZES.items():
        each, count = getattr(own, name), getattr(counted, unit)
        if each is not None and count:
            total, priced = total + Fraction(each) * Fraction(count) / size * 10**9, True
    cost = own.cost_by_unit(Usage(units=counted))
    assert own.covers(counted) is priced
    assert (cost is not None) is priced
    assert cost is None or abs(cost - total) <= Fraction(1, 2) + Fraction(1, 10**6)  # a 60th may have no end


@properties
@given(own=prices, usage=usages, each=price, count=counts)
def test_tokens_are_added_to_units_where_the_upstream_counted_them(
    own: Prices, usage: Usage, each: Decimal, count: int
) -> None:
    own, usage = replace(own, image=each), replace(usage, units=Units(images=count))
    assert own.cost_by_unit(usage) == round(exact(own, usage) + count * Fraction(each) * 10**9)
    guessed = replace(usage, estimated=True)
    of_images = round(count * Fraction(each) * 10**9)
    assert own.cost_by_unit(guessed) == (of_images if count else 0 if own.free else None)


@properties
@given(own=prices, usage=usages, counted=units)
def test_what_has_no_price_by_unit_costs_its_tokens(own: Prices, usage: Usage, counted: Units) -> None:
    assert own.cost_by_unit(replace(usage, units=counted)) == own.cost(usage)


@properties
@given(counted=units)
def test_counts_of_units_are_read_as_they_are_written(counted: Units) -> None:
    written = counted.counted()
    assert Units.of(written or {}) == counted
    assert written is None or all(written.values())
