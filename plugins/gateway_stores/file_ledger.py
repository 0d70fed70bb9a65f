"""Usage records in the file store's database: kept once, counted in the same transaction, found by page."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from gateway.api import Filter, Record
from gateway.api.ledger import DIMENSIONS
from gateway_stores.file_schema import note, noted
from gateway_stores.file_totals import PRUNED, count, day_of, readable
from gateway_stores.file_transaction import transaction

PRUNED_AT_ONCE = 2000


def append(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """Keep and count those that are new."""
    given = {record.id: record for record in reversed(records)}
    with transaction(connection):
        known = connection.execute(
            "SELECT id FROM requests WHERE id IN (SELECT value FROM json_each(?))",
            [orjson.dumps(list(given)).decode()],
        )
        for (id,) in known.fetchall():
            del given[id]
        insert(connection, given.values())
        count(connection, given.values())


def insert(connection: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Keep records, without counting them."""
    rows = map(_row, records)
    connection.executemany(f"INSERT INTO requests VALUES ({', '.join('?' * 13)})", rows)


def _row(record: Record) -> tuple[Any, ...]:
    return (
        record.id,
        record.time,
        record.request_id,
        *(getattr(record, name) or "" for name in DIMENSIONS),
        record.status,
        record.error,
        record.error is not None or record.status >= 400,
        record.total_ms,
        record.cost_nano_usd or 0,
        orjson.dumps(record),
    )


def requests(connection: sqlite3.Connection, filter: Filter, limit: int, before: str | None) -> list[Record]:
    """The newest that match, newest first."""
    terms, values = _terms(connection, filter)
    if before is not None:
        terms.append("id < ?")
        values.append(before)
    where = " AND ".join(terms) or "TRUE"
    rows = connection.execute(
        f"SELECT record FROM requests WHERE {where} ORDER BY id DESC LIMIT ?", [*values, limit]
    )
    return list(readable(rows))


def request(connection: sqlite3.Connection, id: str) -> Record | None:
    """The one with this id, or else the newest with this request id."""
    for column in ("id", "request_id"):
        rows = connection.execute(
            f"SELECT record FROM requests WHERE {column} = ? ORDER BY id DESC LIMIT 1", [id]
        )
        for record in readable(rows):
            return record
    return None


def _terms(connection: sqlite3.Connection, filter: Filter) -> tuple[list[str], list[Any]]:
    """What a row must fulfil, and the values in it."""
    terms: list[str] = []
    values: list[Any] = []

    def must(term: str, *given: Any) -> None:
        terms.append(term)
        values.extend(given)

    for bound, compare in ((filter.start, ">="), (filter.end, "<")):
        if bound is not None:
            must(f"time {compare} ?", bound)
            # Ids are in the order of times: where the range begins and ends in them, an index knows.
            first = connection.execute(
                "SELECT id FROM requests WHERE time >= ? ORDER BY time, id LIMIT 1", [bound]
            ).fetchone()
            if first is not None:
                must(f"id {compare} ?", first[0])
    for name in DIMENSIONS:
        if (wanted := getattr(filter, name)) is not None:
            must(f"{name} = ?", wanted)
    if filter.status is not None:
        must("(status = ? OR status / 100 = ?)", filter.status, filter.status)
        if filter.status >= 400 or 4 <= filter.status < 10:
            must("failed = 1")
    if filter.error is not None:
        must("failed = 1 AND error = ?", filter.error)
    if filter.slower_than_ms is not None:
        must("total_ms > ?", filter.slower_than_ms)
    if filter.dearer_than_nano is not None:
        must("cost_nano > ?", filter.dearer_than_nano)
    return terms, values


def prune(connection: sqlite3.Connection, requests: float, rollups: float) -> bool:
    """Forget some of what is older; whether there is more. Totals go by whole days."""
    with transaction(connection):
        note(connection, PRUNED, max(requests, noted(connection, PRUNED)))
        gone = connection.execute(
            "DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE time < ? LIMIT ?)",
            [requests, PRUNED_AT_ONCE],
        ).rowcount
        totals = connection.execute(
            'DELETE FROM totals WHERE (span, begins, "group") IN (SELECT span, begins, "group" FROM totals '
            "WHERE span IN (60, 3600, 86400) AND begins < ? LIMIT ?)",
            [day_of(rollups), PRUNED_AT_ONCE],
        ).rowcount
    return PRUNED_AT_ONCE in (gone, totals)
