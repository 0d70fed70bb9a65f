"""A window alone: bounds that hold for any arrival times, and what happens when its length changes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_stores.windows.window import CUTS, Window

GAPS = st.lists(st.tuples(st.floats(0, 20), st.integers(0, 9)), max_size=200)


@settings(max_examples=60, deadline=None)
@given(gaps=GAPS, seconds=st.sampled_from([1.0, 60.0, 3600.0]))
def test_counts_never_less_than_was_used_and_at_most_a_bucket_longer(
    gaps: list[tuple[float, int]], seconds: float
) -> None:
    window = Window(10, seconds)
    now, events = 5.0, list[tuple[float, int]]()
    for gap, count in gaps:
        now += gap
        window.slide(now)
        window.add(now, count)
        events.append((now, count))
        longest = seconds * (1 + 1 / CUTS) + 1e-6
        least = sum(count for time, count in events if time + seconds > now)
        most = sum(count for time, count in events if time + longest > now)
        assert least <= window.used <= most


@settings(max_examples=20, deadline=None)
@given(pace=st.floats(0.0, 1.0))
def test_memory_is_bounded_at_any_pace(pace: float) -> None:
    window = Window(10, 60.0)
    for step in range(500):
        window.slide(step * pace)
        window.add(step * pace, 1)
        assert len(window.buckets) <= CUTS + 2


def test_a_lone_event_counts_exactly_as_long_as_the_window() -> None:
    window = Window(10, 60.0)
    window.add(100.3, 4)
    window.slide(160.2)
    assert window.used == 4
    assert window.reset(160.2) == pytest.approx(0.1)
    window.slide(100.3 + 60.0)
    assert (window.used, window.reset(161.0)) == (0, 0.0)


def test_waits_for_as_many_buckets_as_are_needed() -> None:
    window = Window(10, 60.0)
    for second in range(5):
        window.add(float(second), 2)
    assert [window.wait(8.0, count) for count in (1, 2, 3, 10)] == [52.0, 52.0, 53.0, 56.0]
    assert Window(10, 60.0).wait(8.0, 10) == 0.0


def test_a_refund_reaches_only_what_is_still_inside() -> None:
    window = Window(10, 60.0)
    early, late = window.add(0.0, 5), window.add(30.0, 5)
    window.slide(60.0)
    window.refund(60.0, early, 5)
    window.refund(60.0, late, 3)
    assert window.used == 2


@pytest.mark.parametrize(("seconds", "empty_at"), [(30.0, 130.0), (120.0, 220.0)])
def test_another_length_applies_to_what_is_inside(seconds: float, empty_at: float) -> None:
    window = Window(10, 60.0)
    window.add(100.0, 3)
    window.change(10, seconds)
    window.slide(empty_at - 0.125)
    assert window.used == 3
    window.slide(empty_at)
    assert window.used == 0
