"""How many processes are at a store is known from what they tell, and not forgotten while it is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.api.testing.clock import ManualClock
from gateway_stores.facts import Fact, Untold
from gateway_stores.windows.census import EVERY, LASTS, Census


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def told(census: Census, holder: str) -> list[Fact]:
    """What a process tells now of itself."""
    untold = Untold()
    census.tell(holder, untold)
    with untold.telling() as facts:
        return facts


def test_each_tells_the_others_from_time_to_time_and_counts_them(clock: ManualClock) -> None:
    here, there = Census(clock), Census(clock)
    assert here.count == 0, "nothing is known"
    here.hear([])
    assert here.count == 1
    for _ in range(2):
        facts = told(there, "there")
        assert here.hear([*facts, ("other", "1", 9.0)]) == [("other", "1", 9.0)]
        assert here.count == 2
        assert told(there, "there") == []
        clock.advance(EVERY)
    for _ in range(int(LASTS / EVERY)):
        here.hear([])
        clock.advance(EVERY)
    here.hear([])
    assert here.count == 1


def test_while_nothing_is_heard_nobody_is_forgotten(clock: ManualClock) -> None:
    here, there = Census(clock), Census(clock)
    here.hear(told(there, "there"))
    clock.advance(10 * LASTS)
    assert here.count == 2
    here.hear([])
    assert here.count == 2, "the others get time to say that they are there"
    for _ in range(7):
        clock.advance(LASTS / 6)
        here.hear([])
    assert here.count == 1


def test_one_that_leaves_is_not_counted(clock: ManualClock) -> None:
    here, there = Census(clock), Census(clock)
    here.hear(told(there, "there"))
    untold = Untold()
    there.leave("there", untold)
    with untold.telling() as facts:
        here.hear(facts)
    assert here.count == 1
    clock.advance(2 * EVERY)
    assert told(there, "there") == []


def test_a_start_without_the_store_goes_by_what_was_counted_before(
    clock: ManualClock, tmp_path: Path
) -> None:
    before = Census(clock)
    before.open(tmp_path / "journal")
    others: list[Fact] = [(f"process:{number}", "here", LASTS) for number in range(3)]
    for _ in range(int(LASTS / EVERY) + 1):
        before.hear(others)
        clock.advance(EVERY)
    now = Census(clock)
    now.open(tmp_path / "journal")
    assert now.count == 4
    now.hear([])
    assert now.count == 1, "the store is back, and says what is true"


def test_those_that_are_killed_again_and_again_are_not_remembered(clock: ManualClock, tmp_path: Path) -> None:
    here = Census(clock)
    here.open(tmp_path)
    for life in range(20):
        for moment in range(3):
            here.hear([(f"process:{life}", "here", LASTS)] if moment == 0 else [])
            clock.advance(EVERY / 2)
    assert here.count == 3
    for _ in range(int(2 * LASTS / EVERY)):
        clock.advance(EVERY / 2)
        here.hear([])
    now = Census(clock)
    now.open(tmp_path)
    assert now.count == 1
