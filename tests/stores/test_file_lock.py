"""One process at a time holds the lock on a data file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_stores.file_lock import FileLock


def test_the_second_is_told_who_is_first(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    first, second = FileLock(path), FileLock(path)
    first.acquire()
    with pytest.raises(
        BlockingIOError, match=rf"^{path}: is in use by another gateway \(process {os.getpid()}\)"
    ):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_it_ends_with_the_process_however_that_ends(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    code = (
        "import sys; from gateway_stores.file_lock import FileLock\n"
        "FileLock(sys.argv[1]).acquire(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        lock = FileLock(path)
        with pytest.raises(BlockingIOError, match=str(process.pid)):
            lock.acquire()
        process.send_signal(signal.SIGKILL)
        process.wait()
        lock.acquire()
        lock.release()


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "store.db.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        FileLock(str(tmp_path / "store.db")).acquire()
