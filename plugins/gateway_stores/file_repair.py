"""A damaged database of the file store: set aside, and what can be read of it brought to a new one."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from math import ceil
from pathlib import Path
from typing import Any

from gateway.api.ledger import DIMENSIONS, group_of
from gateway_stores.file_disk import aside, words
from gateway_stores.file_lane import DAMAGED
from gateway_stores.file_ledger import among, insert, read
from gateway_stores.file_schema import (
    ERRORS,
    PAGE_BYTES,
    SPANS,
    check,
    check_tables,
    connect,
    look_at_head,
    make_private,
    note,
    open_wal,
)
from gateway_stores.file_totals import COUNTED, MINUTE, PRUNED, SUMMED, count
from gateway_stores.file_transaction import transaction
from gateway_stores.file_wal import keep_if_damaged

log = logging.getLogger(__name__)

CHECKED_BYTES = 64 * 1024 * 1024
"""A larger database is checked as a whole only after it was found damaged: that would take seconds."""
_BESIDE = ("", "-wal", "-shm")
_OUTSIDE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
    }
)
"""Errors that are not the database's."""


def make_ready(path: str) -> bool:
    """Make the database, bring it to this version, or save what can be read of it; for one process at a time.
    False if something in it was damaged.

    Raises `OSError` where it cannot be used."""
    marker = Path(path + DAMAGED)
    sound = True
    try:
        try:
            make_private(path)
            look_at_head(path)
            sound = not keep_if_damaged(path)
            with closing(connect(path)) as connection:
                small = Path(path).stat().st_size <= CHECKED_BYTES
                check(connection, thorough=small or marker.exists())
        except ERRORS as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _OUTSIDE:
                raise
            sound = False
            _replace(path)
        marker.unlink(missing_ok=True)
    except sqlite3.Error as error:
        raise OSError(words(path, error)) from error
    return sound


def _replace(path: str) -> None:
    """Bring what can be read to a new database, and set the old one aside."""
    moved_to = aside(path)
    fresh, copy = f"{path}.salvaged", f"{path}.copy"
    for name in (fresh, copy):
        _remove(name)
    with closing(connect(fresh)) as new:
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _copy(path, copy)
        _mend_first_page(copy, Path(fresh).read_bytes()[:PAGE_BYTES])
        with closing(sqlite3.connect(copy, isolation_level=None)) as old, transaction(new):
            old.text_factory = new.text_factory
            kept = _salvage(old, new)
    _remove(copy)
    for suffix in _BESIDE:
        if Path(path + suffix).exists():
            Path(path + suffix).rename(moved_to + suffix)
    Path(fresh).rename(path)
    log.warning(
        "the database was damaged: what could be read of it is kept",
        extra={"path": path, "moved_to": moved_to, "records": kept},
    )


def _remove(path: str) -> None:
    for suffix in _BESIDE:
        Path(path + suffix).unlink(missing_ok=True)


def _copy(path: str, copy: str) -> None:
    for suffix in ("", "-wal"):
        if Path(path + suffix).exists():
            shutil.copyfile(path + suffix, copy + suffix)
            Path(copy + suffix).chmod(0o600)


def _mend_first_page(path: str, sound: bytes) -> None:
    """Where a database does not say which tables it has, take a new one's word for it: made by the same
    statements, tables begin at the same pages."""
    with suppress(*ERRORS), closing(open_wal(path)) as connection:
        check_tables(connection)
        return
    head = bytearray(sound)
    head[92:96] = b"\0\0\0\0"  # which makes SQLite believe the file's size, not the number in this page
    with open(path, "r+b") as file:
        file.write(head)


def _salvage(old: sqlite3.Connection, new: sqlite3.Connection) -> int:
    """The number of records that were brought over."""
    known, counted, upto = set(), set(), 0.0
    for row in _rows(old, "meta", ["name"]):
        if row[0] == PRUNED and _keep(new, "meta", row):
            upto = ceil(row[1] / MINUTE) * MINUTE
    for row in _rows(old, "groups", ["number"]):
        known |= {row[0]} if _keep(new, "groups", row) else set()
    for row in _rows(old, "totals", ["span", "begins", '"group"']):
        span, begins, group, *_ = row
        if span == MINUTE and group in known and _keep(new, "totals", row):
            counted.add((begins, group))
            upto = max(upto, begins + MINUTE)
    note(new, COUNTED, upto)
    records = {
        record.id: record for _, data in _rows(old, "records", ["id"]) if (record := read(data)) is not None
    }
    insert(new, list(records.values()))
    names = ", ".join(DIMENSIONS)
    groups = {tuple(group): number for number, *group in new.execute(f"SELECT number, {names} FROM groups")}
    uncounted = (
        one.id
        for one in records.values()
        if one.time < upto
        and (one.time // MINUTE * MINUTE, groups.get(group_of(one, DIMENSIONS))) not in counted
    )
    count(new, *among(uncounted))
    new.execute("DELETE FROM totals WHERE span != ?", [MINUTE])
    sums = ", ".join(SUMMED)
    for span in SPANS[:-1]:
        new.execute(
            f'INSERT INTO totals SELECT :span, begins / :span * :span AS start, "group", {sums} FROM totals '
            f'WHERE span = {MINUTE} GROUP BY start, "group"',
            {"span": span},
        )
    return len(records)


def _rows(connection: sqlite3.Connection, table: str, key: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Every row that can be reached from either end; some perhaps twice."""
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{column} {direction}" for column in key)
        try:
            yield from connection.execute(f"SELECT * FROM {table} ORDER BY {order}")
            return
        except ERRORS:
            continue


def _keep(connection: sqlite3.Connection, table: str, row: Sequence[Any]) -> bool:
    """Whether the table takes the row, which it does but once and if each value is of the right type."""
    try:
        marks = ", ".join("?" * len(row))
        return connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row).rowcount == 1
    except sqlite3.Error:
        return False
