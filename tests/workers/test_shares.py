"""Who is ahead of the others in connections."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.workers.shares import Shares

counts = st.lists(st.none() | st.integers(0, 100_000), min_size=1, max_size=8)


@given(counts)
def test_one_of_those_that_serve_is_never_ahead(counts: list[int | None]) -> None:
    shares = Shares.make(len(counts))
    for number, count in enumerate(counts):
        if count is not None:
            shares.of(number).tell(count)
    serving = [number for number, count in enumerate(counts) if count is not None]
    assert not serving or not all(shares.of(number).ahead for number in serving)
    os.close(shares.fd)


@pytest.mark.parametrize(
    ("own", "others", "ahead"),
    [
        (5, [], False),
        (1, [0], False),
        (2, [0], True),
        (2, [5, 0], True),
        (101, [100], False),
        (113, [100], False),
        (114, [100], True),
    ],
)
def test_ahead_is_who_has_notably_more(own: int, others: list[int], ahead: bool) -> None:
    shares = Shares.make(1 + len(others))
    for number, count in enumerate([own, *others]):
        shares.of(number).tell(count)
    assert shares.of(0).ahead == ahead
    os.close(shares.fd)


def test_who_has_ended_does_not_count() -> None:
    shares = Shares.make(2)
    one, other = shares.of(0), Shares(os.dup(shares.fd), 2).of(1)
    one.tell(7)
    other.tell(0)
    assert one.ahead and one.fewest == 0
    other.leave()
    assert not one.ahead and one.fewest == 7
