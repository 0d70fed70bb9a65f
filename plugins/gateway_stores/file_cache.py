"""Cached answers of the file store, in a database of their own that may be lost."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway_stores.file_schema import make_private, open_wal
from gateway_stores.file_transaction import transaction

_SCHEMA = (
    """CREATE TABLE answers (
        number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kept REAL NOT NULL, expires REAL NOT NULL,
        bytes INTEGER NOT NULL, value BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX answers_expires ON answers(expires)",
    "CREATE INDEX answers_bytes ON answers(bytes)",
)

AHEAD = 5.0
"""Seconds by which the clocks of processes may differ. What is kept later than that from now was kept by a
clock that was wrong, and would be there for too long."""


def connect_cache(path: str) -> sqlite3.Connection:
    """A connection to the cache at ``path``. One that is damaged, or of an earlier version, is begun anew."""
    try:
        return _connect(path)
    except sqlite3.DatabaseError:
        for suffix in ("", "-wal", "-shm"):
            Path(path + suffix).unlink(missing_ok=True)
        return _connect(path)


def _connect(path: str) -> sqlite3.Connection:
    make_private(path)
    connection = open_wal(path)
    with transaction(connection):
        if not connection.execute("PRAGMA user_version").fetchone()[0]:
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute("PRAGMA user_version = 1")
        connection.execute("SELECT key, kept, expires, bytes, value FROM answers LIMIT 1").fetchone()
    return connection


def get(connection: sqlite3.Connection, key: str, now: float) -> bytes | None:
    """The answer kept under ``key``, unless it has expired; ``now`` is in seconds since the epoch."""
    row = connection.execute(
        "SELECT value FROM answers WHERE key = ? AND expires > ? AND kept <= ?", [key, now, now + AHEAD]
    ).fetchone()
    return row[0] if row else None


def put(
    connection: sqlite3.Connection,
    key: str,
    value: bytes,
    now: float,
    *,
    expires: float,
    bounds: tuple[int, int],
) -> None:
    """Keep an answer; then the expired go, and the oldest while there are more than ``bounds`` allow:
    entries and bytes."""
    with transaction(connection):
        connection.execute("DELETE FROM answers WHERE expires <= ? OR key = ?", [now, key])
        connection.execute(
            "INSERT INTO answers (key, kept, expires, bytes, value) VALUES (?, ?, ?, ?, ?)",
            [key, now, expires, len(value), value],
        )
        entries, total = connection.execute("SELECT count(*), total(bytes) FROM answers").fetchone()
        while entries and (entries > bounds[0] or total > bounds[1]):
            row = connection.execute(
                "DELETE FROM answers WHERE number = (SELECT min(number) FROM answers) RETURNING bytes"
            ).fetchone()
            entries, total = entries - 1, total - row[0]
