"""The journal: what is put into it is in a file at once; a failing disk is nobody's trouble but its own."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from gateway.ledger import journal as module
from gateway.ledger.frame import decode, pieces
from gateway.ledger.journal import Journal
from tests.ledger.support import Count, crash, files, number_of, put, record, reopened


def written(folder: Path) -> list[int]:
    """The numbers of the records that are in files."""
    found = (piece.payload for path in files(folder) for piece in pieces(path.read_bytes()))
    return [number_of(decode(payload)) for payload in found if payload is not None]


def move(journal: Journal, limit: int = 1000) -> list[int]:
    """Acknowledge everything; the numbers of the records that were moved."""
    moved = []
    while segments := journal.next():
        batch = segments[0].take(limit)
        moved += [number_of(one or decode(payload)) for one, payload in batch.entries]
        journal.acknowledge(segments[0], batch)
    return moved


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal"


def full(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_record_is_in_the_file_when_put_returns(folder: Path) -> None:
    journal = reopened(folder)
    for number in range(3):
        put(journal, number)
        assert written(folder) == list(range(number + 1))
    assert journal.pending == 3
    assert journal.durable
    crash(journal)


async def test_files_and_folders_are_private(folder: Path) -> None:
    journal = reopened(folder)
    modes = {
        path: stat.S_IMODE(os.stat(path).st_mode) for path in (folder.parent, folder, *files(folder, ""))
    }
    assert list(modes.values()) == [0o700, 0o700, 0o600, 0o600]
    journal.close()


async def test_what_was_moved_is_gone(folder: Path) -> None:
    journal = reopened(folder)
    put(journal, 1, 2)
    assert move(journal) == [1, 2]
    assert written(folder) == []
    put(journal, 3)
    assert written(folder) == [3]
    assert move(journal) == [3]
    journal.close()
    assert files(folder, "") == []


async def test_what_was_not_moved_stays(folder: Path) -> None:
    journal = reopened(folder)
    put(journal, 1, 2)
    journal.close()
    assert written(folder) == [1, 2]


async def test_segments_follow_each_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 1200)
    journal = reopened(folder)
    put(journal, *range(10))
    assert len(files(folder)) == 4
    assert written(folder) == list(range(10))
    assert sorted(move(journal, 2)) == list(range(10))
    assert len(files(folder)) == 1
    crash(journal)


async def test_memory_is_bounded_and_what_it_lacks_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECENT", 5)
    journal = reopened(folder)
    put(journal, *range(5))
    [segment] = journal.next()
    journal.acknowledge(segment, segment.take(2))
    put(journal, *range(5, 9))
    assert segment.recent is None
    first = segment.take(3)
    put(journal, 9)
    journal.acknowledge(segment, first)
    assert [number_of(decode(payload)) for _, payload in first.entries] == [2, 3, 4]
    assert move(journal, 2) == [5, 6, 7, 8, 9]
    put(journal, 10)
    assert move(journal) == [10]
    crash(journal)


async def test_the_age_is_that_of_the_oldest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = reopened(folder)
    assert journal.oldest() is None
    put(journal, 1, 2)
    monkeypatch.setattr("time.time", lambda: record(31).time)
    assert journal.oldest() == 30.0
    crash(journal)


async def test_a_full_disk_costs_nothing_but_durability(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journal = reopened(folder)
    put(journal, 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        put(journal, 2, 3)
        with pytest.raises(OSError, match="No space"):
            journal.restore()
    assert not journal.durable
    assert [line.levelname for line in caplog.records] == ["ERROR"]
    put(journal, 4)
    assert journal.pending == 4
    assert written(folder) == [1]
    journal.restore()
    assert journal.durable
    put(journal, 5)
    assert sorted(written(folder)) == [1, 2, 3, 4, 5]
    assert sorted(move(journal)) == [1, 2, 3, 4, 5]
    journal.close()
    assert files(folder, "") == []


async def test_what_is_in_no_file_at_the_end_is_lost_and_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journal = reopened(folder, count := Count())
    put(journal, 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        put(journal, 2, 3)
    journal.close()
    line = caplog.records[-1]
    assert (line.levelname, vars(line)["records"]) == ("ERROR", 2)
    assert line.message.startswith("usage records are lost")
    assert count == {"dropped": 2}
    assert written(folder) == [1]


async def test_what_a_full_disk_took_of_a_record_is_taken_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = reopened(folder)
    put(journal, 1)
    size = files(folder)[0].stat().st_size
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: write(fd, data[:20]))
        put(journal, 2)
    assert files(folder)[0].stat().st_size == size
    assert not journal.durable
    assert sorted(move(journal)) == [1, 2]
    crash(journal)


async def test_half_a_record_that_stays_hides_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = reopened(folder)
    put(journal, 1)
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: write(fd, data[:20]))
        patch.setattr(os, "ftruncate", full)
        put(journal, 2)
    journal.restore()
    put(journal, 3)
    assert written(folder) == [1, 2, 3]
    assert sorted(move(journal)) == [1, 2, 3]
    crash(journal)


async def test_records_that_no_file_takes_are_bounded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "UNWRITTEN", 3)
    journal = reopened(folder, count := Count())
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        put(journal, *range(5))
    assert count == {"dropped": 2}
    assert "lost" in caplog.records[-1].message
    assert move(journal) == [0, 1, 2]
    put(journal, 9)
    assert move(journal) == [9]
    crash(journal)


async def test_a_file_that_cannot_follow_is_a_failure_like_any(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 500)
    journal = reopened(folder)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        put(journal, 1, 2, 3)
    assert not journal.durable
    assert sorted(move(journal)) == [1, 2, 3]
    crash(journal)


@pytest.mark.parametrize("damage", ["file", "link", "readonly"])
def test_a_folder_that_cannot_be_written_is_told_at_the_start(folder: Path, damage: str) -> None:
    folder.parent.mkdir()
    if damage == "file":
        folder.write_text("")
    elif damage == "link":
        folder.symlink_to("/nowhere/at/all")
    else:
        folder = Path("/proc/journal")
    with pytest.raises(OSError, match=str(folder)):
        Journal(folder, Count()).open()


async def test_without_a_folder_records_wait_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(None, Count())
    journal.open()
    put(journal, 1, 2)
    assert journal.pending == 2
    assert move(journal) == [1, 2]
    assert journal.pending == 0
    journal.close()
    assert not caplog.records
