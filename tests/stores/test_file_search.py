"""Records are found where the totals say that they may be, and nowhere else is looked."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.api import Filter, Record
from gateway.api.testing.ledger import BEGINNING, plain
from gateway_stores.file_ledger import append, requests
from gateway_stores.file_schema import connect

HOUR = 3600
SPAN = 80 * HOUR


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(str(tmp_path / "store.db"))) as connection:
        yield connection


def many(count: int) -> list[Record]:
    """Records of some days, the newest last."""
    chance = random.Random(count)
    return [
        replace(
            plain(SPAN * number // count),
            id="",
            client=chance.choice(["a", "b", "rare" if number % 97 == 5 else "c"]),
            model=chance.choice(["m", "n"]),
            status=chance.choice([200, 200, 200, 404, 429, 502]),
            error=chance.choice([None, "rate_limit_exceeded"]),
            total_ms=chance.choice([10.0, 4000.0, 5000.0, 5000.5, 300_000.0, 300_001.0]),
            cost_nano_usd=chance.choice([None, 0, 1000, 5_000_000]),
        )
        for number in range(count)
    ]


FILTERS = (
    Filter(),
    Filter(client="rare"),
    Filter(client="nobody"),
    Filter(client="a", model="n", status=4),
    Filter(status=404),
    Filter(status=5, client="b"),
    Filter(error="rate_limit_exceeded", client="rare"),
    Filter(slower_than_ms=5000),
    Filter(slower_than_ms=4999.9, client="rare"),
    Filter(slower_than_ms=300_000),
    Filter(slower_than_ms=1e9),
    Filter(dearer_than_nano=999, client="rare"),
    Filter(dearer_than_nano=5_000_000),
    Filter(start=BEGINNING + 30.5 * HOUR, end=BEGINNING + 50.25 * HOUR, client="rare"),
    Filter(start=BEGINNING + SPAN - 70, client="a"),
    Filter(end=BEGINNING + 60, client="a"),
    Filter(start=BEGINNING + 10 * SPAN, client="a"),
)


def paged(ledger: sqlite3.Connection, filter: Filter) -> list[Record]:
    """All that match, page by page."""
    found: list[Record] = []
    before = None
    while page := requests(ledger, filter, 7, before):
        found += page
        before = page[-1].id
    return found


def expected(records: Sequence[Record], filter: Filter) -> list[Record]:
    return [record for record in reversed(records) if filter.matches(record)]


@pytest.mark.parametrize("filter", FILTERS, ids=str)
def test_all_that_match_are_found_newest_first(ledger: sqlite3.Connection, filter: Filter) -> None:
    records = many(600)
    assert paged(ledger, filter) == []
    append(ledger, records)
    assert paged(ledger, filter) == expected(records, filter)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_totals_that_are_gone_hide_nothing(ledger: sqlite3.Connection, kept: int) -> None:
    records = many(300)
    append(ledger, records)
    days = [
        day for (day,) in ledger.execute("SELECT DISTINCT begins FROM totals WHERE span = 86400 ORDER BY 1")
    ]
    ledger.execute("DELETE FROM totals WHERE begins < ?", [days[-kept] if kept else days[-1] + 10 * SPAN])
    for filter in FILTERS:
        assert paged(ledger, filter) == expected(records, filter)


@pytest.mark.parametrize(
    "filter",
    [
        Filter(client="nobody"),
        Filter(slower_than_ms=10),
        Filter(dearer_than_nano=10**15),
        Filter(status=418),
        Filter(error="none"),
    ],
    ids=str,
)
def test_what_is_not_there_is_not_searched_for(ledger: sqlite3.Connection, filter: Filter) -> None:
    append(ledger, [replace(record, total_ms=10.0) for record in many(5000)])
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    ledger.set_progress_handler(step, 100)
    assert requests(ledger, filter, 50, None) == []
    assert steps < 50
