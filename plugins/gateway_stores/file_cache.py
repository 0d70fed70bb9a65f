"""Cached answers of the file store, in a database of their own that may be lost."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from gateway.api.folders import make_private_folder
from gateway_stores.file_lane import DAMAGED
from gateway_stores.file_schema import Damaged, make_private, open_wal
from gateway_stores.file_transaction import transaction

_MIGRATIONS = (
    (
        """CREATE TABLE answers (
            number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kept REAL NOT NULL, expires REAL NOT NULL,
            bytes INTEGER NOT NULL, value BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX answers_expires ON answers(expires)",
        "CREATE INDEX answers_bytes ON answers(bytes)",
    ),
    # What there is is known without looking at all of it, whoever keeps and removes answers.
    (
        "CREATE TABLE sums (entries INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT",
        "INSERT INTO sums SELECT count(*), coalesce(sum(bytes), 0) FROM answers",
        """CREATE TRIGGER answer_kept AFTER INSERT ON answers BEGIN
            UPDATE sums SET entries = entries + 1, bytes = bytes + new.bytes;
        END""",
        """CREATE TRIGGER answer_removed AFTER DELETE ON answers BEGIN
            UPDATE sums SET entries = entries - 1, bytes = bytes - old.bytes;
        END""",
        "DROP INDEX answers_bytes",
    ),
)
"""The statements of the n-th make version n of version n - 1."""

AHEAD = 5.0
"""Seconds by which the clocks of processes may differ. What is kept later than that from now was kept by a
clock that was wrong, and would be there for too long."""
ROOM = 4_000_000
"""Bytes of the disk that cached answers leave to usage records and limits. They go into a log first, which
only gets shorter if the database can become longer."""
AT_ONCE = 100
"""So many expired answers at most are removed in one go: nobody waits for all of them."""


def connect_cache(path: str) -> sqlite3.Connection:
    """A connection to the cache at ``path``. One that is damaged, or of another version, is begun anew."""
    make_private_folder(Path(path).parent)
    with _alone(path):
        try:
            if Path(path + DAMAGED).exists():
                raise Damaged
            return _connect(path)
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm", DAMAGED):
                Path(path + suffix).unlink(missing_ok=True)
            return _connect(path)


@contextmanager
def _alone(path: str) -> Iterator[None]:
    """No other thread or process connects meanwhile: it might remove what this one makes anew."""
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _connect(path: str) -> sqlite3.Connection:
    make_private(path)
    connection = open_wal(path)
    try:
        connection.execute("PRAGMA secure_delete = ON")  # what is removed is overwritten, too
        with transaction(connection):
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            if version < len(_MIGRATIONS):
                for statement in chain(*_MIGRATIONS[version:]):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
            connection.execute("SELECT key, kept, expires, bytes, value FROM answers LIMIT 1").fetchone()
            connection.execute("SELECT entries, bytes FROM sums").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def try_reading(connection: sqlite3.Connection) -> None:
    """The smallest look-up there is."""
    connection.execute("SELECT 1 FROM answers LIMIT 1").fetchone()


def try_writing(connection: sqlite3.Connection) -> None:
    """The smallest write, which leaves all as it is. (SQLite writes no page in which nothing changes.)"""
    _leave_room(connection)
    with transaction(connection):
        for step in (1, -1):
            connection.execute("UPDATE sums SET entries = entries + ?", [step])


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
    """Keep an answer. Where there are more than ``bounds`` allow, entries and bytes, the expired go, then
    the oldest; some of the expired go in any case. Raises `OSError` if the disk is nearly full."""
    _leave_room(connection)
    with transaction(connection):
        connection.execute("DELETE FROM answers WHERE key = ?", [key])
        connection.execute(
            "INSERT INTO answers (key, kept, expires, bytes, value) VALUES (?, ?, ?, ?, ?)",
            [key, now, expires, len(value), value],
        )
        removed = _remove_expired(connection, now)
        while _too_much(connection, bounds):
            removed = removed and _remove_expired(connection, now)
            if not removed and not _remove_oldest(connection):
                break


def prune(connection: sqlite3.Connection, now: float) -> bool:
    """Remove some of the expired; whether there are more. Once there are none, what they said is not in the
    files any more."""
    with transaction(connection):
        removed = _remove_expired(connection, now)
    if removed < AT_ONCE:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return removed == AT_ONCE


def _leave_room(connection: sqlite3.Connection) -> None:
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    disk = os.statvfs(path)
    if disk.f_bavail * disk.f_frsize < ROOM:
        reason = f"the last {ROOM // 10**6} MB of the disk are for usage records, not for cached answers"
        raise OSError(errno.ENOSPC, reason, path)


def _remove_expired(connection: sqlite3.Connection, now: float) -> int:
    """How many they were, `AT_ONCE` at most."""
    return connection.execute(
        "DELETE FROM answers WHERE number IN "
        "(SELECT number FROM answers WHERE expires <= ? ORDER BY expires LIMIT ?)",
        [now, AT_ONCE],
    ).rowcount


def _remove_oldest(connection: sqlite3.Connection) -> int:
    return connection.execute("DELETE FROM answers WHERE number = (SELECT min(number) FROM answers)").rowcount


def _too_much(connection: sqlite3.Connection, bounds: tuple[int, int]) -> bool:
    entries, size = connection.execute("SELECT entries, bytes FROM sums").fetchone()
    return bool(entries > bounds[0] or size > bounds[1])
