"""Usage records in the file store's database: kept once, counted once, found by page."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from math import inf, nextafter
from typing import Any

import orjson

from gateway.api import Filter, Record
from gateway.api.ledger import DIMENSIONS
from gateway_stores.file_schema import note, noted
from gateway_stores.file_search import stretches
from gateway_stores.file_totals import COUNTED, LAG, MINUTE, PRUNED, count, day_of, during, roll_up
from gateway_stores.file_transaction import snapshot, transaction

log = logging.getLogger(__name__)

PRUNED_AT_ONCE = 2000
INSERTED_AT_ONCE = 50
"""Rows of one statement: SQLite lets other threads run during each."""
_REQUEST = f"({', '.join('?' * 18)})"


def append(connection: sqlite3.Connection, records: Sequence[Record]) -> list[Record]:
    """Keep those that are new. They are counted later, many at a time, but for those that come late. Those
    that come too late, after newer ones were pruned, are given back."""
    if not records:
        return []
    with transaction(connection):
        counted = noted(connection, COUNTED)
        late = _new(connection, {record.id for record in records if record.time < counted})
        kept = records
        old: list[Record] = []
        if late:
            pruned = noted(connection, PRUNED)
            old = [record for record in records if record.id in late and record.time < pruned]
            refused = {record.id for record in old}
            late -= refused
            kept = [record for record in records if record.id not in refused]
        insert(connection, kept)
        if late:
            count(connection, *among(late))
        roll_up(connection, max(record.time for record in records) - LAG)
    return old


def insert(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """Keep records that are not there, without counting them."""
    for start in range(0, len(records), INSERTED_AT_ONCE):
        chunk = records[start : start + INSERTED_AT_ONCE]
        values = list(chain.from_iterable(map(_row, chunk)))
        _insert(connection, "requests", _REQUEST, len(chunk), values)
        values = [value for record in chunk for value in (record.id, record.encoded())]
        _insert(connection, "records", "(?, ?)", len(chunk), values)


def _insert(connection: sqlite3.Connection, table: str, row: str, count: int, values: list[Any]) -> None:
    rows = ", ".join([row] * count)
    connection.execute(f"INSERT INTO {table} VALUES {rows} ON CONFLICT (id) DO NOTHING", values)


def _row(record: Record) -> tuple[Any, ...]:
    first_ms = record.first_token_ms
    return (
        record.id,
        record.time,
        record.request_id,
        record.client or "",
        record.provider or "",
        record.key or "",
        record.model or "",
        record.status,
        record.error,
        record.error is not None or record.status >= 400,
        record.input_tokens,
        record.cached_tokens,
        record.output_tokens,
        record.reasoning_tokens,
        record.cost_nano_usd,
        record.total_ms,
        round(record.total_ms * 1000),
        None if first_ms is None else round(first_ms * 1000),
    )


def _new(connection: sqlite3.Connection, ids: set[str]) -> set[str]:
    """Those of which there is no record yet."""
    if not ids:
        return ids
    term, values = among(ids)
    return ids - {id for (id,) in connection.execute(f"SELECT id FROM requests WHERE {term}", values)}


def among(ids: Iterable[str]) -> tuple[str, list[Any]]:
    """The SQL term that is true of the rows with these ids, and the value in it."""
    return "id IN (SELECT value FROM json_each(?))", [orjson.dumps(list(ids)).decode()]


def requests(connection: sqlite3.Connection, filter: Filter, limit: int, before: str | None) -> list[Record]:
    """The newest that match, newest first."""
    found: list[Record] = []
    terms, values = _terms(filter)
    if before is not None:
        terms.append("id < ?")
        values.append(before)
    with snapshot(connection):
        if before is not None:
            filter = _ending(connection, filter, before)
        oldest = connection.execute("SELECT time FROM requests ORDER BY id LIMIT 1").fetchone()
        for start, end in () if oldest is None else stretches(connection, filter, oldest[0]):
            within, bounds = during(start, end)
            where = " AND ".join([within, *terms])
            found += _found(connection, where, [*bounds, *values, limit - len(found)])
            if len(found) >= limit:
                break
    return found


def request(connection: sqlite3.Connection, id: str) -> Record | None:
    """The one with this id, or else the newest with this request id."""
    for column in ("id", "request_id"):
        for record in _found(connection, f"{column} = ?", [id, 1]):
            return record
    return None


def _found(connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> Iterator[Record]:
    """The newest records, newest first; the last value is how many."""
    rows = connection.execute(
        # A cross join: through the requests in this order, whatever SQLite thinks of it.
        "SELECT id, record FROM requests CROSS JOIN records USING (id) "
        f"WHERE {where} ORDER BY id DESC LIMIT ?",
        values,
    )
    for id, data in rows:
        yield read(data) or _remains(connection, id)


def read(data: bytes) -> Record | None:
    """The record in a row of ``records``; None where something else wrote over it."""
    try:
        return Record.from_json(orjson.loads(data))
    except (ValueError, TypeError, KeyError):
        return None


def _remains(connection: sqlite3.Connection, id: str) -> Record:
    """What is known of a record that cannot be read: what is searched and summed."""
    log.error("a usage record is damaged: only what is summed of it is known", extra={"record": id})
    cursor = connection.execute(
        "SELECT id, time, request_id, client, nullif(provider, '') AS provider, nullif(key, '') AS key, "
        "nullif(model, '') AS model, status, error, input_tokens, cached_tokens, output_tokens, "
        "reasoning_tokens, cost_nano AS cost_nano_usd, first_token_us / 1000.0 AS first_token_ms, total_ms "
        "FROM requests WHERE id = ?",
        [id],
    )
    [row] = cursor
    known = {column[0]: value for column, value in zip(cursor.description, row, strict=True)}
    return Record(config_version="", operation="", alias="", **known)


def _ending(connection: sqlite3.Connection, filter: Filter, before: str) -> Filter:
    """The same that ends where ``before`` stands in time."""
    found = connection.execute(
        "SELECT time FROM requests WHERE id < ? ORDER BY id DESC LIMIT 1", [before]
    ).fetchone()
    end = nextafter(found[0], inf) if found else 0.0
    return replace(filter, end=end if filter.end is None else min(end, filter.end))


def _terms(filter: Filter) -> tuple[list[str], list[Any]]:
    """What a row must fulfil but for its time, and the values in it."""
    terms: list[str] = []
    values: list[Any] = []

    def must(term: str, *given: Any) -> None:
        terms.append(term)
        values.extend(given)

    for name in DIMENSIONS:
        if (wanted := getattr(filter, name)) is not None:
            must(f"{name} = ?", wanted)
    if filter.status is not None:
        must("status / 100 = ?" if filter.status < 10 else "status = ?", filter.status)
        if filter.status >= 400 or 4 <= filter.status < 10:
            must("failed = 1")
    if filter.error is not None:
        must("failed = 1 AND error = ?", filter.error)
    if filter.slower_than_ms is not None:
        must("total_ms > ?", filter.slower_than_ms)
    if filter.dearer_than_nano is not None:
        must("coalesce(cost_nano, 0) > ?", filter.dearer_than_nano)
    return terms, values


def prune(connection: sqlite3.Connection, requests: float, rollups: float) -> bool:
    """Forget some of what is older, once it is counted; whether there is more. Totals go by whole days."""
    with transaction(connection):
        roll_up(connection, requests + MINUTE)
        term, bounds = during(0.0, requests)
        oldest, values = f"WHERE {term} ORDER BY id LIMIT ?", [*bounds, PRUNED_AT_ONCE]
        [(newest,)] = connection.execute(
            f"SELECT max(time) FROM (SELECT time FROM requests {oldest})", values
        )
        if newest is not None:
            note(connection, PRUNED, max(nextafter(newest, inf), noted(connection, PRUNED)))
        of_them = f"WHERE id IN (SELECT id FROM requests {oldest})"
        connection.execute(f"DELETE FROM records {of_them}", values)
        gone = connection.execute(f"DELETE FROM requests {of_them}", values)
        totals = connection.execute(
            'DELETE FROM totals WHERE (span, begins, "group") IN (SELECT span, begins, "group" FROM totals '
            "WHERE span IN (60, 3600, 86400) AND begins < ? LIMIT ?)",
            [day_of(rollups), PRUNED_AT_ONCE],
        ).rowcount
    return PRUNED_AT_ONCE in (gone.rowcount, totals)
