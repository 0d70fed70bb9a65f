"""When the file store counts a record, and that it is the same to whoever asks."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Filter
from gateway.api.ledger import DIMENSIONS, LARGEST_SUM
from gateway.api.testing.ledger import BEGINNING, plain, summed
from gateway_stores.file_ledger import append, insert, prune
from gateway_stores.file_schema import connect, noted
from gateway_stores.file_totals import COUNTED, during, series, totals


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


@pytest.fixture
def ledger(path: str) -> Iterator[sqlite3.Connection]:
    with closing(connect(path)) as connection:
        yield connection


def counted(ledger: sqlite3.Connection) -> int:
    """How many requests are in the totals of minutes; those of hours and days must be the same."""
    [found] = {row[0] for row in ledger.execute("SELECT total(requests) FROM totals GROUP BY span")} or {0}
    return int(found)


def test_a_minute_is_counted_half_a_minute_after_its_end(ledger: sqlite3.Connection) -> None:
    append(ledger, [plain(second) for second in (0, 30, 59, 60, 89)])
    assert counted(ledger) == 0
    append(ledger, [plain(90)])
    assert counted(ledger) == 3
    assert noted(ledger, COUNTED) == BEGINNING + 60


MOMENTS = st.sampled_from([0.0, BEGINNING, 7e10, math.inf]) | st.floats(0.0, 7e10)
NEAR = st.sampled_from([0.0, 1e-7, 2.4e-7, 5e-7, 1e-6])


@given(MOMENTS, MOMENTS, st.lists(st.tuples(MOMENTS.filter(math.isfinite), NEAR), max_size=5))
@settings(max_examples=200, deadline=None)
def test_a_range_of_ids_is_exactly_the_range_of_times(
    start: float, end: float, others: list[tuple[float, float]]
) -> None:
    edges = [edge for edge in (start, end) if math.isfinite(edge)]
    times = [moment + more for moment, more in (*others, *((edge, 2.4e-7) for edge in edges))] + edges
    records = [replace(plain(0), time=time, id="") for time in times]
    term, values = during(start, end)
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE requests (id TEXT, time REAL)")
        database.executemany("INSERT INTO requests VALUES (?, ?)", [(one.id, one.time) for one in records])
        found = {id for (id,) in database.execute(f"SELECT id FROM requests WHERE {term}", values)}
    assert found == {one.id for one in records if start <= one.time < end}


def test_what_comes_later_is_counted_at_once_and_once(ledger: sqlite3.Connection) -> None:
    append(ledger, [plain(0), plain(90)])
    for _ in range(2):
        append(ledger, [plain(1), plain(0), plain(1)])
    assert counted(ledger) == 2


def test_a_database_with_absurd_costs_in_it_goes_on(ledger: sqlite3.Connection) -> None:
    dear = [replace(plain(second), client="dear", cost_nano_usd=2**62) for second in range(3)]
    insert(ledger, dear)  # as earlier versions kept them, and then failed to count them
    for second in (10, 90, 150):
        append(ledger, [plain(second)])
    assert noted(ledger, COUNTED) == BEGINNING + 120
    kept = [*dear, plain(10), plain(90), plain(150)]
    assert {total.group: total for total in totals(ledger, Filter(), DIMENSIONS)} == summed(
        kept, Filter(), DIMENSIONS
    )
    [total] = totals(ledger, Filter(client="dear"), [])
    assert total.cost_nano == LARGEST_SUM


def test_nothing_is_removed_before_it_is_counted(ledger: sqlite3.Connection) -> None:
    append(ledger, [plain(0), plain(10), plain(20)])
    prune(ledger, BEGINNING + 15, 0.0)
    assert counted(ledger) == 3
    assert ledger.execute("SELECT (SELECT count(*) FROM requests), count(*) FROM records").fetchone() == (
        1,
        1,
    )


def test_ranges_over_counted_and_uncounted_minutes_are_exact(ledger: sqlite3.Connection) -> None:
    kept = [plain(second) for second in range(0, 380, 7)]
    for number in range(0, len(kept), 5):
        append(ledger, kept[number : number + 5])
    bounds = [None, *(BEGINNING + second for second in (0, 31, 180, 299.5, 300, 359, 360, 381))]
    for start in bounds:
        for end in bounds:
            filter = Filter(start, end, client="c")
            found = {total.group: total for total in totals(ledger, filter, DIMENSIONS)}
            assert found == summed(kept, filter, DIMENSIONS)
    steps = series(ledger, Filter(BEGINNING - 60, BEGINNING + 600), 60.0)
    assert sum(total.requests for _, total in steps) == len(kept)


def test_an_answer_is_of_one_moment(ledger: sqlite3.Connection, path: str) -> None:
    append(ledger, [plain(0), plain(10)])
    with closing(connect(path)) as other:

        def meanwhile(statement: str) -> None:
            if "FROM requests" in statement:
                append(other, [plain(300)])

        ledger.set_trace_callback(meanwhile)
        [total] = totals(ledger, Filter(), [])
        ledger.set_trace_callback(None)
    assert total.requests == 2
    assert counted(ledger) == 2
