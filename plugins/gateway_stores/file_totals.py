"""Totals in the file store's database: kept by minute, hour and day, summed over any range."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, NamedTuple

import orjson

from gateway.api import Dimension, Filter, Record, Total
from gateway.api.ledger import DIMENSIONS, SUMS, group_of
from gateway_stores.file_schema import FIGURES, SPANS, noted

MINUTE, DAY = SPANS[-1], SPANS[0]
PRUNED = "pruned"
"""The note of the moment before which records may be gone while their totals stay."""
NEVER = DAY * 10**6
"""The year 4707."""

_COUNT = (
    f"INSERT INTO totals VALUES ({', '.join('?' * (3 + len(FIGURES)))}) "
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in FIGURES)}"
)
_SUMS = [f"sum({name})" for name in FIGURES]
_NAMES = ", ".join(DIMENSIONS)
_MATCHING = " AND ".join(f"{name} = ?" for name in DIMENSIONS)


def count(connection: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Add records to the totals of their minutes, hours and days; in the caller's transaction."""
    found: dict[tuple[int, int, tuple[str, ...]], Total] = {}
    for record in records:
        group = group_of(record, DIMENSIONS)
        for span in SPANS:
            begins = int(record.time // span) * span
            found.setdefault((span, begins, group), Total()).count(record)
    numbers = {group: _number(connection, group) for _, _, group in found}
    connection.executemany(
        _COUNT,
        [(span, begins, numbers[group], *figures(total)) for (span, begins, group), total in found.items()],
    )


def figures(total: Total) -> list[int]:
    """A total as its columns."""
    return [*(getattr(total, name) for name in SUMS), *total.latencies]


def total_of(columns: Sequence[int]) -> Total:
    """A total from its columns."""
    total = Total(latencies=list(columns[len(SUMS) :]))
    for name, figure in zip(SUMS, columns, strict=False):
        setattr(total, name, figure)
    return total


def _number(connection: sqlite3.Connection, group: tuple[str, ...]) -> int:
    connection.execute(f"INSERT OR IGNORE INTO groups ({_NAMES}) VALUES (?, ?, ?, ?)", group)
    number: int = connection.execute(f"SELECT number FROM groups WHERE {_MATCHING}", group).fetchone()[0]
    return number


def day_of(time: float) -> float:
    """When the day of this moment began."""
    return time // DAY * DAY


def totals(connection: sqlite3.Connection, filter: Filter, group_by: Sequence[Dimension]) -> list[Total]:
    """One for each combination of the dimensions' values."""
    found = _sums(connection, filter, noted(connection, PRUNED), group_by)
    return [found[group] for group in sorted(found)]


def series(connection: sqlite3.Connection, filter: Filter, step: float) -> list[tuple[float, Total]]:
    """The totals of each step that is not empty."""
    assert filter.start is not None
    assert filter.end is not None
    pruned = noted(connection, PRUNED)
    start = filter.start if filter.start >= pruned else filter.start // MINUTE * MINUTE
    found = []
    moment = start
    while moment < filter.end:
        row = connection.execute(
            "SELECT begins FROM totals WHERE span = ? AND begins > ? ORDER BY begins LIMIT 1",
            [MINUTE, moment - MINUTE],
        ).fetchone()
        if row is None:
            break
        number = (max(row[0], moment) - start) // step
        begins, moment = start + number * step, start + (number + 1) * step
        part = replace(filter, start=begins, end=min(moment, filter.end))
        found += [(begins, total) for total in _sums(connection, part, pruned).values()]
    return found


class _Cut(NamedTuple):
    """A range of time as what totals know of it whole, and what only records can tell."""

    low: int
    high: int
    """Whole minutes."""
    parts: list[tuple[float, float]]


def _cut(start: float, end: float, pruned: float) -> _Cut:
    """Where the records of a part of a minute may be gone, the minute counts whole."""
    low, high = int(start // MINUTE) * MINUTE, int(end // MINUTE) * MINUTE
    if pruned <= low < start:
        low += MINUTE
    if high < min(end, pruned):
        high += MINUTE
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
    connection: sqlite3.Connection, filter: Filter, pruned: float, group_by: Sequence[Dimension] = ()
) -> dict[tuple[str, ...], Total]:
    """The totals, by group, of all that matches; none for nothing."""
    found: dict[tuple[str, ...], Total] = {}
    start = 0.0 if filter.start is None else filter.start
    end = float(NEVER) if filter.end is None else filter.end
    if start >= end:
        return found
    low, high, parts = _cut(start, end, pruned)
    for span, first, last in _cover(low, high):
        for *group, total in _whole(connection, filter, (span, first, last), group_by):
            found.setdefault(tuple(group), Total(tuple(group))).add(total)
    for part in parts:
        wanted = Filter(*part, filter.client, filter.provider, filter.key, filter.model)
        rows = connection.execute("SELECT record FROM requests WHERE time >= ? AND time < ?", part)
        for record in readable(rows):
            if wanted.matches(record):
                chosen = group_of(record, group_by)
                found.setdefault(chosen, Total(chosen)).count(record)
    return found


def _whole(
    connection: sqlite3.Connection, filter: Filter, range: tuple[int, int, int], group_by: Sequence[Dimension]
) -> Iterator[tuple[Any, ...]]:
    """Of whole days, hours or minutes: the values of the dimensions, and the total."""
    wanted = {name: value for name in DIMENSIONS if (value := getattr(filter, name)) is not None}
    terms = "".join(f" AND {name} = ?" for name in wanted)
    columns = ", ".join((*group_by, *_SUMS))
    rows = connection.execute(
        f'SELECT {columns} FROM totals JOIN groups ON number = "group" '
        f"WHERE span = ? AND begins >= ? AND begins < ?{terms} GROUP BY {', '.join(group_by) or 'span'}",
        [*range, *wanted.values()],
    )
    for row in rows:
        yield *row[: len(group_by)], total_of(row[len(group_by) :])


def readable(rows: Iterable[tuple[bytes]]) -> Iterator[Record]:
    """The records of these rows; one that something else wrote over is left out."""
    for (data,) in rows:
        try:
            yield Record.from_json(orjson.loads(data))
        except (ValueError, TypeError, KeyError):
            continue
