"""What is done for the journal beside the requests: syncs, going back to files, and forgetting."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.api import StoreUnavailable
from gateway.config.schema_storage import Retention
from gateway.ledger import journal as journal_module
from gateway.ledger import retention, upkeep
from gateway.ledger.retention import keep_pruned
from gateway.ledger.upkeep import Upkeep
from tests.daemon.running import until
from tests.ledger.support import Count, Troubled, crash, files, put, reopened
from tests.ledger.test_journal import move, written


def failing(fd: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


async def test_what_is_pending_is_synced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    journal = reopened(tmp_path)
    keeper = Upkeep(journal)
    put(journal, 1, 2)
    await keeper.sync()
    await keeper.sync()
    inodes = [os.stat(path).st_ino for path in (files(tmp_path)[0], tmp_path)]
    assert synced == inodes
    move(journal)
    put(journal, 3)
    move(journal)
    await keeper.sync()
    assert synced == inodes
    crash(journal)


async def test_a_file_that_is_moved_meanwhile_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 500)
    journal = reopened(tmp_path)
    put(journal, 1, 2, 3)

    def late(fd: int, path: Path, dirty: bool) -> None:
        os.close(fd)
        move(journal)
        os.stat(path)

    monkeypatch.setattr(upkeep, "_sync", late)
    await Upkeep(journal).sync()
    assert journal.durable
    crash(journal)


def break_sync(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(os, "fsync", failing)


def remove_file(folder: Path, patch: pytest.MonkeyPatch) -> None:
    files(folder)[0].unlink()


def remove_folder(folder: Path, patch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(folder)


def replace_file(folder: Path, patch: pytest.MonkeyPatch) -> None:
    [path] = files(folder)
    path.unlink()
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [break_sync, remove_file, remove_folder, replace_file])
async def test_records_the_disk_may_not_have_are_written_again(
    tmp_path: Path, damage: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    folder = tmp_path / "journal"
    journal = reopened(folder)
    keeper = Upkeep(journal)
    put(journal, 1, 2)
    before = files(folder)
    with pytest.MonkeyPatch.context() as patch:
        damage(folder, patch)
        await keeper.sync()
        assert not journal.durable
        put(journal, 3)
    await keeper.heal(folder)
    assert journal.durable
    put(journal, 4)
    assert sorted(written(folder)) == [1, 2, 3, 4]
    assert set(before).isdisjoint(path for path in files(folder) if path.stat().st_size)
    assert sorted(move(journal)) == [1, 2, 3, 4]
    crash(journal)


async def test_what_is_lost_with_its_file_does_not_hinder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal_module, "RECENT", 2)
    journal = reopened(tmp_path, count := Count())
    keeper = Upkeep(journal)
    put(journal, 1, 2, 3)
    files(tmp_path)[0].unlink()
    await keeper.sync()
    put(journal, 4)
    await keeper.heal(tmp_path)
    assert journal.durable
    assert written(tmp_path) == [4]
    assert count == {"dropped": 3}
    assert "lost" in caplog.text
    assert move(journal) == [4]
    crash(journal)


async def test_it_is_not_healed_as_long_as_the_disk_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = reopened(tmp_path)
    keeper = Upkeep(journal)
    put(journal, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        await keeper.sync()
        for _ in range(5):
            await keeper.heal(tmp_path)
    assert not journal.durable
    assert [line.levelname for line in caplog.records] == ["ERROR", "WARNING"]
    assert files(tmp_path, ".probe") == []
    crash(journal)


class Pruned(Troubled):
    """Has some to forget in three steps, and fails in the first."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[float, float]] = []

    async def prune(self, requests: float, rollups: float) -> bool:
        self.asked.append((requests, rollups))
        if len(self.asked) == 1:
            raise StoreUnavailable("down")
        return len(self.asked) < 4


async def test_a_bug_in_one_kind_of_work_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upkeep, "SYNC_SECONDS", 0.001)
    journal = reopened(tmp_path)
    keeper, healed = Upkeep(journal), asyncio.Event()

    async def broken(*_: object) -> None:
        raise ValueError("a bug")

    async def heal(_: Path) -> None:
        healed.set()

    for name, work in (("adopt", broken), ("sync", broken), ("heal", heal)):
        monkeypatch.setattr(keeper, name, work)
    running = asyncio.create_task(keeper.run())
    await healed.wait()
    running.cancel()
    assert "bug in the journal's upkeep" in caplog.text
    crash(journal)


async def test_the_store_forgets_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "INTERVAL", 0.001)
    monkeypatch.setattr(retention, "PAUSE", 0.0)
    monkeypatch.setattr("time.time", lambda: 1_000_000.0)
    store = Pruned()
    task = asyncio.create_task(keep_pruned(store, Retention(requests=1000, rollups=5000)))
    await until(lambda: len(store.asked) >= 5)
    task.cancel()
    assert set(store.asked) == {(999_000.0 - retention.GRACE, 995_000.0)}
