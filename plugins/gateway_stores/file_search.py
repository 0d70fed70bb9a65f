"""Which stretches of time to search for records, as far as the totals can tell."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from gateway.api import Filter
from gateway.api.ledger import LATENCY_BOUNDS
from gateway_stores.file_schema import SPANS, noted
from gateway_stores.file_totals import COUNTED

_DAY, _HOUR = SPANS[0], SPANS[1]

Stretch = tuple[float, float]
"""From a moment on, up to another."""


def stretches(connection: sqlite3.Connection, filter: Filter, oldest: float) -> Iterator[Stretch]:
    """What to look through, newest first: what is not counted yet, hours with requests that may match, what
    is older than the totals. There is no record before ``oldest``. In the caller's transaction."""
    terms, values = _terms(filter)
    end = float("inf") if filter.end is None else filter.end
    start = max(oldest, filter.start or 0.0)
    if not terms:
        yield start, end
        return
    counted = noted(connection, COUNTED)
    if counted < end:
        yield max(start, counted), end
    known = _first_total(connection) or counted
    busy = (  # a cross join: through the totals in their order, whatever SQLite thinks of it
        'SELECT DISTINCT begins FROM totals CROSS JOIN groups ON number = "group" '
        f"WHERE span = ? AND begins > ? AND begins < ? AND {' AND '.join(terms)} ORDER BY begins DESC"
    )
    for (day,) in connection.execute(busy, [_DAY, start - _DAY, min(end, counted), *values]).fetchall():
        within = [_HOUR, max(start - _HOUR, day - 1), min(end, counted, day + _DAY), *values]
        for first, last in _runs([hour for (hour,) in connection.execute(busy, within)]):
            yield max(start, first), min(end, counted, last + _HOUR)
    if start < min(end, known):
        yield start, min(end, known)


def _runs(hours: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of those that follow each other; ``hours`` go back in time."""
    last = None
    for at, hour in enumerate(hours):
        last = hour if last is None else last
        if at + 1 == len(hours) or hours[at + 1] != hour - _HOUR:
            yield hour, last
            last = None


def _first_total(connection: sqlite3.Connection) -> float:
    row = connection.execute(
        "SELECT begins FROM totals WHERE span = ? ORDER BY begins LIMIT 1", [_DAY]
    ).fetchone()
    return row[0] if row else 0.0


def _terms(filter: Filter) -> tuple[list[str], list[Any]]:
    """What a total must fulfil so that a request in it can match, and the values in it."""
    wanted = filter.names()
    terms, values = [f"{name} = ?" for name in wanted], list[Any](wanted.values())
    if filter.slower_than_ms is not None:
        first = bisect_right(LATENCY_BOUNDS, filter.slower_than_ms)
        classes = range(first, len(LATENCY_BOUNDS) + 1)
        terms.append(f"{' + '.join(f'latency_{number}' for number in classes)} > 0")
    if filter.dearer_than_nano is not None:
        terms.append("cost_nano > ?")
        values.append(filter.dearer_than_nano)
    status = filter.status or 0
    if terms and (filter.error is not None or status >= 400 or 4 <= status < 10):  # else an index knows
        terms.append("errors > 0")
    return terms, values
