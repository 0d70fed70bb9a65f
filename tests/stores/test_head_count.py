"""The most processes that were at a store lately are remembered, whatever becomes of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.api.testing.clock import ManualClock
from gateway_stores.windows.head_count import FRESH, LATELY, NAME, HeadCount


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(2e9)


def test_the_highest_count_holds_for_some_days(clock: ManualClock, tmp_path: Path) -> None:
    here = HeadCount(tmp_path, clock)
    assert here.count == 0
    for count in (2, 6, 3):
        here.note(count)
    assert HeadCount(tmp_path, clock).count == 6
    clock.advance(LATELY + 1)
    assert HeadCount(tmp_path, clock).count == 0
    here.note(3)
    assert HeadCount(tmp_path, clock).count == 3


def test_a_count_that_goes_on_holds_on(clock: ManualClock, tmp_path: Path) -> None:
    here = HeadCount(tmp_path, clock)
    here.note(4)
    clock.advance(FRESH + 1)
    here.note(4)
    clock.advance(LATELY - 1)
    assert HeadCount(tmp_path, clock).count == 4


def test_a_clock_that_was_ahead_makes_no_count_last(clock: ManualClock, tmp_path: Path) -> None:
    HeadCount(tmp_path, clock).note(9)
    clock.advance(-30 * LATELY)
    here = HeadCount(tmp_path, clock)
    assert here.count == 9
    clock.advance(LATELY + 1)
    here.note(2)
    assert here.count == HeadCount(tmp_path, clock).count == 2


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b'{"processes": 4, "at"',
        b"\xff",
        b"[]",
        b"{}",
        b'{"processes": null, "at": 1}',
        b'{"processes": Infinity, "at": 2e9}',
        b'{"processes": -4, "at": 2e9}',
        b'{"processes": 4, "at": NaN}',
    ],
)
def test_what_makes_no_sense_is_nothing(clock: ManualClock, tmp_path: Path, kept: bytes) -> None:
    (tmp_path / NAME).write_bytes(kept)
    here = HeadCount(tmp_path, clock)
    assert here.count == 0
    here.note(2)
    assert HeadCount(tmp_path, clock).count == 2


def test_what_cannot_be_kept_is_one_line(
    clock: ManualClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    here = HeadCount(tmp_path / "file", clock)
    caplog.clear()
    here.note(2)
    here.note(2)
    assert here.count == 2
    [line] = caplog.records
    assert line.message == "the number of processes at the store cannot be kept"
