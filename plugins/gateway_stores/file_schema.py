"""The file store's tables, and how a database comes to have them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from gateway.api.folders import make_private_folder
from gateway.api.ledger import DIMENSIONS, LATENCY_BOUNDS, SUMS
from gateway_stores.file_disk import open_private
from gateway_stores.file_transaction import transaction

SPANS = (86_400, 3_600, 60)
"""Totals are kept of whole days, hours and minutes (UTC), in seconds."""
FIGURES = (*SUMS, *(f"latency_{number}" for number in range(len(LATENCY_BOUNDS) + 1)))
"""The columns of a total; the latter are `Total.latencies`."""
PAGE_BYTES = 8192
BUSY_SECONDS = 5.0

_NAMES = ", ".join(f"{name} TEXT NOT NULL" for name in DIMENSIONS)
MIGRATIONS = (
    f"""
    CREATE TABLE meta (name TEXT PRIMARY KEY, value REAL NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE groups (
        number INTEGER PRIMARY KEY, {_NAMES}, UNIQUE ({", ".join(DIMENSIONS)})
    ) STRICT;
    CREATE TABLE totals (
        span INTEGER NOT NULL, begins INTEGER NOT NULL, "group" INTEGER NOT NULL,
        {", ".join(f"{name} INTEGER NOT NULL" for name in FIGURES)},
        PRIMARY KEY (span, begins, "group")
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE requests (
        id TEXT PRIMARY KEY, time REAL NOT NULL, request_id TEXT NOT NULL, {_NAMES},
        status INTEGER NOT NULL, error TEXT, failed INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL, cost_nano INTEGER,
        total_ms REAL NOT NULL, duration_us INTEGER NOT NULL, first_token_us INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE records (id TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX requests_time ON requests(time);
    CREATE INDEX requests_request_id ON requests(request_id);
    CREATE INDEX requests_failed ON requests(failed) WHERE failed = 1
    """,
    # A rare error is found among many others; what succeeds is in none of these.
    """
    DROP INDEX requests_failed;
    CREATE INDEX requests_error ON requests(error) WHERE failed = 1;
    CREATE INDEX requests_status ON requests(status) WHERE failed = 1;
    CREATE INDEX requests_status_class ON requests(status / 100) WHERE failed = 1
    """,
    # Ids begin with the time.
    "DROP INDEX requests_time",
)
"""The n-th makes version n of version n - 1. What was released once never changes: add another.

``requests`` has what is searched and summed, and is narrow, so that all of it is soon read; ``records`` has
the records themselves."""


_APPLICATION = b"COO\x01"
"""Stands in the header of a database of ours."""
_HEAD = b"SQLite format 3\0"


ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises: what it says of a damaged database may not even be text."""


class Damaged(sqlite3.DatabaseError):
    """The database is not as it was written."""


def connect(path: str) -> sqlite3.Connection:
    """A connection to the records at ``path``, which is made and brought to this version if need be.

    Raises `OSError` where something else stands there, or what a later version wrote."""
    make_private(path)
    connection = open_wal(path)
    try:
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_wal(path: str) -> sqlite3.Connection:
    """A connection for whichever thread uses it; outside of explicit transactions each statement is one."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.text_factory = lambda data: data.decode(errors="replace")
        if not connection.execute("PRAGMA page_count").fetchone()[0]:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute(f"PRAGMA application_id = {int.from_bytes(_APPLICATION, 'big')}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA temp_store = MEMORY")  # each INSERT of many rows has what could undo it
    except BaseException:
        connection.close()
        raise
    return connection


def make_private(path: str) -> None:
    """Make the file if it is not there, readable by its owner alone (as what SQLite puts beside it will be).

    One that is there is not opened: who closes a file gives up all locks that its process has on it, those of
    SQLite's other connections too, and the next process to look at the database takes its log away from them.
    Raises `OSError` also where a symbolic link stands in its place."""
    make_private_folder(Path(path).parent)
    for suffix in ("", "-wal", "-shm"):
        if Path(path + suffix).is_symlink():
            raise OSError(f"{path + suffix}: is a symbolic link; name the file itself")
    with suppress(FileExistsError):
        os.close(open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))


def look_at_head(path: str) -> None:
    """Raises `OSError` for a file that is none of ours. Before the first connection of this process, for the
    reason that `make_private` gives."""
    with open(path, "r+b", opener=open_private) as file:
        head = file.read(72)
    wrong = sum(found != meant for found, meant in zip(head, _HEAD, strict=False))
    wrong += sum(found != meant for found, meant in zip(head[68:], _APPLICATION, strict=False))
    if wrong >= len(_APPLICATION):  # less may be damage
        if Path(f"{path}.windows").exists():  # which come once a database of ours stood here
            raise Damaged(f"{path}: its beginning is damaged")
        raise OSError(f"{path}: is not a database of COO-LLM; give it a path of its own")


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database to the newest version.

    Raises `Damaged` or `sqlite3.Error`, and `OSError` where a later version of COO-LLM wrote it."""
    with transaction(connection):
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != _written_version(connection):
            raise Damaged
        if version > len(MIGRATIONS):
            raise OSError("was written by a later version of COO-LLM: use that one, or another path")
        if version < len(MIGRATIONS):
            for script in MIGRATIONS[version:]:
                for statement in script.split(";"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            note(connection, "version", float(len(MIGRATIONS)))


def note(connection: sqlite3.Connection, name: str, value: float) -> None:
    """Write down a figure about the database as a whole."""
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", [name, value])


def noted(connection: sqlite3.Connection, name: str) -> float:
    """The figure, or 0."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", [name]).fetchone()
    return row[0] if row else 0.0


def _written_version(connection: sqlite3.Connection) -> float:
    """The version as it stands in the tables: that in the header has no guard of its own."""
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return 0.0
    return noted(connection, "version")


def check(connection: sqlite3.Connection, *, thorough: bool) -> None:
    """Raises what `check_tables` raises if the database is not as it should be.

    A thorough check reads all of it."""
    check_tables(connection)
    connection.execute("UPDATE meta SET value = value")  # can it be written to?
    if thorough and connection.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
        raise Damaged


def check_tables(connection: sqlite3.Connection) -> None:
    """Raises `Damaged` or `sqlite3.Error` if the tables are not those of this version, and `OSError` where
    somebody added columns to them, for rows are inserted whole. What else is there is no concern of ours."""
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_master"
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        migrate(model)
        missing = set(model.execute(schema)) - (found := set(connection.execute(schema)))
    if not missing:
        return
    texts = {name: sql for type, name, _, sql in found if type == "table" and isinstance(sql, str)}
    if all(name in texts and _has_more(texts[name], sql) for _, name, _, sql in missing):
        tables = ", ".join(sorted(name for _, name, _, _ in missing))
        raise OSError(f"somebody added columns to {tables}: drop them, or keep them in a table of your own")
    raise Damaged


def _has_more(sql: str, meant: str) -> bool:
    """Whether something was added to a statement at one place."""
    places = range(len(meant) + 1) if len(sql) > len(meant) else ()
    return any(sql.startswith(meant[:place]) and sql.endswith(meant[place:]) for place in places)
