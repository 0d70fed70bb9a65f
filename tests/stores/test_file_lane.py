"""A database's thread: nicer than the event loop, and never held by what nobody waits for."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from pathlib import Path

import pytest

from gateway.api import StoreUnavailable
from gateway_stores.file_lane import Lane
from gateway_stores.file_schema import open_wal

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(tell(i)) FROM n"


async def test_the_event_loop_comes_before_the_database(tmp_path: Path) -> None:
    lane = Lane(str(tmp_path / "nice.db"), sqlite3.connect, print)
    theirs = await lane.run("look", lambda _: os.getpriority(os.PRIO_PROCESS, 0))
    await lane.close()
    assert theirs > os.getpriority(os.PRIO_PROCESS, 0)


async def test_a_sandbox_may_forbid_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_: int) -> int:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "nice", forbidden)
    lane = Lane(str(tmp_path / "strict.db"), sqlite3.connect, print)
    assert await lane.run("look", lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)
    await lane.close()


async def test_what_nobody_waits_for_any_longer_is_broken_off(tmp_path: Path) -> None:
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    def tell(_: int) -> None:
        if not begun.is_set():
            loop.call_soon_threadsafe(begun.set)

    def report(connection: sqlite3.Connection) -> None:
        connection.create_function("tell", 1, tell)
        connection.execute(ENDLESS).fetchone()

    lane = Lane(str(tmp_path / "store.db"), open_wal, print)
    left = asyncio.create_task(lane.run("report", report))
    await begun.wait()
    left.cancel()
    assert await lane.run("look", lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)
    assert lane.trouble is None
    await lane.close()


async def test_damage_is_trouble_even_where_it_cannot_be_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path, mode: int) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "touch", forbidden)
    file = tmp_path / "store.db"
    file.write_bytes(b"no database" * 100)
    failed: list[str] = []
    lane = Lane(str(file), sqlite3.connect, failed.append)
    with pytest.raises(StoreUnavailable, match="is damaged"):
        await lane.run("look", lambda connection: connection.execute("SELECT * FROM t"))
    assert failed == ["look"]
    assert lane.trouble is not None
    await lane.close()
