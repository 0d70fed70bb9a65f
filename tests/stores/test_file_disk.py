"""What is said of errors."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from gateway_stores import file_disk
from gateway_stores.file_disk import words


def error(code: int) -> sqlite3.OperationalError:
    made = sqlite3.OperationalError("disk I/O error")
    made.sqlite_errorcode = code
    return made


def test_an_error_of_sqlite_on_a_disk_without_room_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "coo-llm.db")
    assert words(path, error(sqlite3.SQLITE_IOERR)) == f"{path}: disk I/O error"
    monkeypatch.setattr(file_disk, "LITTLE_ROOM", 1 << 60)
    room = os.statvfs(tmp_path).f_bavail
    assert room > 0
    said = words(path, error(sqlite3.SQLITE_IOERR_WRITE))
    assert said.startswith(f"{path}: disk I/O error: only ")
    assert said.endswith(" kB of room are left there")
    assert words(path, error(sqlite3.SQLITE_BUSY)) == f"{path}: disk I/O error"
    gone = str(tmp_path / "gone" / "coo-llm.db")
    assert words(gone, error(sqlite3.SQLITE_IOERR)) == f"{gone}: disk I/O error"
