"""Totals in the file store's database: kept by minute, hour and day, summed over any range."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from math import ceil
from typing import Any, NamedTuple

from gateway.api import Dimension, Filter, Total
from gateway.api.ledger import DIMENSIONS, LATENCY_BOUNDS, SUMS
from gateway.api.record import first_id
from gateway_stores.file_schema import FIGURES, SPANS, note, noted
from gateway_stores.file_transaction import snapshot

MINUTE, DAY = SPANS[-1], SPANS[0]
PRUNED = "pruned"
"""The note of the moment before which records may be gone while their totals stay."""
COUNTED = "counted"
"""The note of the minute before which every record is in the totals, and from which on none is. It is never
before the moment of `PRUNED`."""
LAG = 30.0
"""Seconds that a minute stays uncounted after its end, for records that come late."""
NEVER = DAY * 10**6
"""The year 4707."""


_SLOWER = [f"sum(total_ms > {bound})" for bound in LATENCY_BOUNDS]
"""SQLite computes each of them once, though it stands in two classes of latency."""
_SPECIAL = {
    "requests": "1",
    "errors": "failed",
    "cost_nano": "coalesce(cost_nano, 0)",
    "unpriced": "cost_nano IS NULL AND (input_tokens OR output_tokens)",
    "first_token_us": "coalesce(first_token_us, 0)",
    "first_tokens": "first_token_us IS NOT NULL",
}
"""How the figures of one request are computed (see `Total.count`) that are no columns."""
_LARGE = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost_nano")
"""Figures that are what a provider says: so many of them may be absurd that their sum overflows."""
_NAMES = ", ".join(DIMENSIONS)


def _sum(name: str, term: str) -> str:
    """The sum of a figure, at most `LARGEST_SUM`. SQLite's ``sum`` fails where it overflows, so of
    what may be that much both halves are summed: arithmetic overflows into a number that a cast cuts down."""
    if name not in _LARGE:
        return f"sum({term})"
    return f"CAST(sum({term} >> 32) * 4294967296 + sum({term} & 4294967295) AS INTEGER)"


SUMMED = [_sum(name, name) for name in FIGURES]
"""How each figure of totals is added up."""
_ONE_BY_ONE = [_sum(name, _SPECIAL.get(name, name)) for name in SUMS] + [
    f"{above} - {below}" for above, below in pairwise(["count(*)", *_SLOWER, "0"])
]
"""How figures of single requests are added up: a class of latencies has those above one bound less those
above the next."""

_NEW_GROUPS = f"INSERT OR IGNORE INTO groups ({_NAMES}) SELECT DISTINCT {_NAMES} FROM requests WHERE "
_BY_MINUTE = (
    f"SELECT CAST(time AS INTEGER) / {MINUTE} * {MINUTE} AS minute, number, "
    + ", ".join(f"{term} AS {name}" for term, name in zip(_ONE_BY_ONE, FIGURES, strict=True))
    + f" FROM requests JOIN groups USING ({_NAMES}) WHERE "
)
_ADD = (
    f"INSERT INTO totals SELECT span, minute / span * span AS begins, number, {', '.join(SUMMED)} "
    f"FROM counted, (SELECT {SPANS[0]} AS span{''.join(f' UNION SELECT {span}' for span in SPANS[1:])}) "
    "WHERE TRUE GROUP BY span, begins, number "
    "ON CONFLICT DO UPDATE SET "
    + ", ".join(f"{name} = CAST({name} + excluded.{name} AS INTEGER)" for name in FIGURES)
)


def count(connection: sqlite3.Connection, term: str, values: Sequence[Any]) -> None:
    """Add the requests of which the SQL ``term`` is true to the totals of their minutes, hours and days; in
    the caller's transaction."""
    connection.execute(_NEW_GROUPS + term, values)
    connection.execute(f"WITH counted AS ({_BY_MINUTE}{term} GROUP BY minute, number) {_ADD}", values)


def roll_up(connection: sqlite3.Connection, moment: float) -> None:
    """See that all before the minute of ``moment`` is counted; in the caller's transaction."""
    counted, upto = noted(connection, COUNTED), moment // MINUTE * MINUTE
    if upto > counted:
        count(connection, *during(counted, upto))
        note(connection, COUNTED, upto)


def during(start: float, end: float) -> tuple[str, list[Any]]:
    """The SQL term that is true of the requests from ``start`` on that came before ``end``, and the values in
    it. Ids begin with the time, so it is a range of them."""
    return "id >= ? AND id < ? AND time >= ? AND time < ?", [first_id(start), first_id(end) + "g", start, end]


def day_of(time: float) -> float:
    """When the day of this moment began."""
    return time // DAY * DAY


def totals(connection: sqlite3.Connection, filter: Filter, group_by: Sequence[Dimension]) -> list[Total]:
    """One for each combination of the dimensions' values."""
    with snapshot(connection):
        found = _sums(connection, filter, _Known.of(connection), group_by)
    return [found[group] for group in sorted(found)]


def series(
    connection: sqlite3.Connection, filter: Filter, step: float, group_by: Sequence[Dimension] = ()
) -> list[tuple[float, Total]]:
    """The totals of each step that is not empty."""
    assert filter.start is not None
    assert filter.end is not None
    found = []
    with snapshot(connection):
        known = _Known.of(connection)
        start = filter.start if filter.start >= known.pruned else filter.start // MINUTE * MINUTE
        moment = start
        while moment < filter.end and (first := _first(connection, moment, known)) is not None:
            number = (max(first, moment) - start) // step
            begins, moment = start + number * step, start + (number + 1) * step
            part = replace(filter, start=begins, end=min(moment, filter.end))
            sums = _sums(connection, part, known, group_by)
            found += [(begins, sums[group]) for group in sorted(sums)]
    return found


class _Known(NamedTuple):
    """Of what time the database knows what."""

    pruned: float
    counted: int

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> _Known:
        return cls(noted(connection, PRUNED), int(noted(connection, COUNTED)))


def _first(connection: sqlite3.Connection, moment: float, known: _Known) -> float | None:
    """When the first minute or, where none is counted, request begins that is not over at ``moment``."""
    term, values = during(max(moment, known.counted), NEVER)
    row = (
        connection.execute(
            "SELECT begins FROM totals WHERE span = ? AND begins > ? ORDER BY begins LIMIT 1",
            [MINUTE, moment - MINUTE],
        ).fetchone()
        or connection.execute(
            f"SELECT time FROM requests WHERE {term} ORDER BY id LIMIT 1", values
        ).fetchone()
    )
    return row[0] if row else None


class _Cut(NamedTuple):
    """A range of time as what totals know of it whole, and what only records can tell."""

    low: int
    high: int
    """Whole minutes."""
    parts: list[tuple[float, float]]


def _cut(start: float, end: float, known: _Known) -> _Cut:
    """Where the records of a part of a minute may be gone, the minute counts whole."""
    if start >= known.counted:
        return _Cut(0, 0, [(start, end)])
    low, high = int(start // MINUTE) * MINUTE, int(end // MINUTE) * MINUTE
    if known.pruned <= low < start:
        low += MINUTE
    if high < min(end, known.pruned):
        high += MINUTE
    high = min(high, known.counted)
    parts = []
    if start < low:
        parts.append((start, min(low, end)))
    if low <= high < end:
        parts.append((high, end))
    return _Cut(low, high, parts)


def _cover(low: int, high: int, spans: Sequence[int] = SPANS) -> Iterator[tuple[int, int, int]]:
    """The same range in as few days, hours and minutes as will do: (span, from, to)."""
    if low >= high:
        return
    span, *finer = spans
    first, last = ceil(low / span) * span, high // span * span
    if first >= last:
        yield from _cover(low, high, finer)
        return
    yield from _cover(low, first, finer)
    yield span, first, last
    yield from _cover(last, high, finer)


def _sums(
    connection: sqlite3.Connection, filter: Filter, known: _Known, group_by: Sequence[Dimension] = ()
) -> dict[tuple[str, ...], Total]:
    """The totals, by group, of all that matches; none for nothing."""
    found: dict[tuple[str, ...], Total] = {}
    start = 0.0 if filter.start is None else filter.start
    end = float(NEVER) if filter.end is None else filter.end
    if start >= end:
        return found
    low, high, parts = _cut(start, end, known)
    wanted = filter.names()
    terms = "".join(f" AND {name} = ?" for name in wanted)
    grouping = f" GROUP BY {', '.join(group_by)}" if group_by else ""
    counted = (
        f'SELECT {", ".join((*group_by, *SUMMED))} FROM totals JOIN groups ON number = "group" '
        f"WHERE span = ? AND begins >= ? AND begins < ?{terms}{grouping}"
    )
    asked: list[tuple[str, Sequence[Any]]] = [(counted, piece) for piece in _cover(low, high)]
    for part in parts:
        within, values = during(*part)
        columns = ", ".join((*group_by, *_ONE_BY_ONE))
        asked.append((f"SELECT {columns} FROM requests WHERE {within}{terms}{grouping}", values))
    for statement, bounds in asked:
        for row in connection.execute(statement, [*bounds, *wanted.values()]):
            if row[-1] is not None:  # the sums over nothing
                group = row[: len(group_by)]
                found.setdefault(group, Total(group)).add(total_of(row[len(group_by) :]))
    return found


def total_of(figures: Sequence[int]) -> Total:
    """A total from its columns."""
    total = Total(latencies=list(figures[len(SUMS) :]))
    for name, figure in zip(SUMS, figures, strict=False):
        setattr(total, name, figure)
    return total
