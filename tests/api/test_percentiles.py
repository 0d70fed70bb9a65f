"""Percentiles of totals: estimates from classes, held within what the sum of all times allows."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Total
from gateway.api.ledger import LATENCY_BOUNDS
from tests.ledger.support import record

SHARES = (0.0, 0.01, 0.5, 0.95, 0.99, 1.0)


def total(*times_ms: float) -> Total:
    found = Total()
    for time_ms in times_ms:
        found.count(record(total_ms=time_ms))
    return found


@pytest.mark.parametrize("time_ms", [0.9, 10.0, 661.0, 1051.482, 400_000.0])
@pytest.mark.parametrize("share", SHARES)
def test_of_one_request_its_time(time_ms: float, share: float) -> None:
    assert total(time_ms).percentile_ms(share) == pytest.approx(time_ms)


def test_requests_that_took_the_same_time() -> None:
    same = total(*[1051.0] * 6)
    assert [same.percentile_ms(share) for share in (0.5, 0.95)] == pytest.approx([1051, 1051], rel=0.05)


def test_those_of_one_class_are_spread_over_all_of_it_where_their_mean_allows() -> None:
    even = total(*range(1001, 2501))
    assert [even.percentile_ms(share) for share in (0.5, 0.95)] == pytest.approx([1750, 2425], rel=0.001)


def test_what_the_other_classes_leave_counts() -> None:
    found = total(*[900.0] * 99, 2400.0)
    assert found.percentile_ms(0.5) == pytest.approx(900, rel=0.02)
    assert found.percentile_ms(0.01) == pytest.approx(900, rel=0.12)  # at 500 without


def test_beyond_the_last_class_it_is_at_least_so_much() -> None:
    assert total(*[1.0] * 9, 900_000.0).percentile_ms(0.99) == pytest.approx(900_000, rel=0.01)
    assert total(*[9.0] * 10_000, *[310_000.0] * 900).percentile_ms(0.99) == pytest.approx(310_000, rel=0.01)


def test_without_requests_there_is_none() -> None:
    assert Total().percentile_ms(0.5) is None


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
def test_every_percentile_is_in_its_class_and_none_below_a_lower_one(times_ms: list[float]) -> None:
    found = total(*times_ms)
    told = [found.percentile_ms(share) for share in SHARES]
    assert told == sorted(told)  # type: ignore[type-var]
    bounds = (0, *LATENCY_BOUNDS, math.inf)
    for share, estimate in zip(SHARES, told, strict=True):
        exact = sorted(times_ms)[max(math.ceil(share * len(times_ms)), 1) - 1]
        low, high = next((a, b) for a, b in pairwise(bounds) if exact <= b)
        assert estimate is not None
        assert low - 0.01 <= estimate <= high + 0.01


def test_totals_that_do_not_fit_together_do_no_harm() -> None:
    told = Total(requests=3, latencies=[0, 0, 3, *[0] * (len(LATENCY_BOUNDS) - 2)])
    assert told.percentile_ms(0.5) == 25
    assert Total(requests=3).percentile_ms(0.5) == LATENCY_BOUNDS[-1]
