"""A gateway whose store, ``kept``, is a plain table on disk: what survives a kill can be looked at.

``python -m tests.fakes.kept -c PATH`` runs it in place of ``python -m gateway``.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Self

import orjson
import uvloop

from gateway.api import Record, Site
from gateway.config.read import read
from gateway.daemon import Daemon
from gateway.registry import Registry
from gateway_stores.memory import MemoryStore


@dataclass(eq=False)
class Kept(MemoryStore):
    """Keeps records in SQLite, and the rest in memory."""

    path: str

    async def open(self, site: Site) -> None:
        await super().open(site)
        self._db = sqlite3.connect(self.path)
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("CREATE TABLE IF NOT EXISTS records (id TEXT PRIMARY KEY, record TEXT)")

    async def close(self) -> None:
        self._db.close()

    async def append(self, records: Sequence[Record]) -> None:
        rows = [(one.id, orjson.dumps(one.to_json())) for one in records]
        with self._db:
            self._db.executemany("INSERT OR IGNORE INTO records VALUES (?, ?)", rows)


def kept(path: str) -> list[Record]:
    """All records that a store at ``path`` has."""
    db = sqlite3.connect(path)
    try:
        return [Record.from_json(orjson.loads(row)) for (row,) in db.execute("SELECT record FROM records")]
    finally:
        db.close()


class _WithKept(Registry):
    @classmethod
    def discover(cls) -> Self:
        registry = super().discover()
        point = EntryPoint("kept", "tests.fakes.kept:Kept", "coo_llm.stores")
        return cls({**registry._found, "stores": {**registry._found["stores"], "kept": point}})


if __name__ == "__main__":
    known = _WithKept.discover()
    uvloop.run(Daemon(sys.argv[2], read(sys.argv[2], os.environ, known.known()), known).serve())
