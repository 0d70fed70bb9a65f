"""Call rates: exact for every interval, apart for each address, and bounded."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.admin import rate
from gateway.admin.rate import WINDOW, CallRate


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 40), min_size=1, max_size=60), st.integers(1, 6))
def test_no_interval_holds_more_than_the_limit(gaps: list[float], limit: int) -> None:
    now = 0.0
    admitted: list[float] = []
    calls = CallRate(lambda: now)
    for gap in gaps:
        now += gap
        wait = calls.take("203.0.113.7", limit)
        within = [moment for moment in admitted if moment > now - WINDOW]
        assert (wait == 0) == (len(within) < limit)
        if wait:
            assert abs(within[0] + WINDOW - now - wait) < 1e-9
        else:
            admitted.append(now)


def test_the_wait_is_enough() -> None:
    now = 1000.0
    calls = CallRate(lambda: now)
    assert [calls.take("a", 2) for _ in range(2)] == [0, 0]
    wait = calls.take("a", 2)
    now += wait
    assert calls.take("a", 2) == 0


def test_addresses_are_apart_but_a_network_of_one_household_is_one() -> None:
    calls = CallRate(lambda: 0.0)
    assert calls.take("192.0.2.1", 1) == 0
    assert calls.take("192.0.2.2", 1) == 0
    assert calls.take("2001:db8::1", 1) == 0
    assert calls.take("2001:db8::ffff", 1) == WINDOW
    assert calls.take("2001:db8:0:1::1", 1) == 0


def test_zero_is_no_limit_and_what_is_given_back_does_not_count() -> None:
    calls = CallRate(lambda: 0.0)
    assert not any(calls.take("a", 0) for _ in range(1000))
    for _ in range(10):
        assert calls.take("a", 1) == 0
        calls.give_back("a")


def test_it_is_bounded() -> None:
    calls = CallRate(lambda: 0.0)
    for number in range(rate.MAX_ADDRESSES + 10):
        calls.take(str(number), 1)
    assert len(calls._calls) == rate.MAX_ADDRESSES
    assert calls.take(str(rate.MAX_ADDRESSES), 1) == WINDOW
