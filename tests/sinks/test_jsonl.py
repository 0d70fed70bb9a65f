"""The log file: rotation, moved files, full disks, several writers."""

from __future__ import annotations

import asyncio
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_sinks.jsonl import JsonLines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "coo-llm.log"


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file grows beyond ``size`` bytes: a write stops half-way, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write(sink: JsonLines, *lines: bytes) -> None:
    asyncio.run(sink.write(lines))


def close(sink: JsonLines) -> None:
    asyncio.run(sink.close())


def backups(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir() if file != path)


def everything(path: Path) -> bytes:
    """All files, oldest first."""
    names = sorted(backups(path), key=lambda name: -int(name.rpartition(".")[2]))
    return b"".join((path.parent / name).read_bytes() for name in [*names, path.name])


def test_it_appends_to_what_is_there(path: Path) -> None:
    path.write_bytes(b"old\n")
    sink = JsonLines(str(path))
    write(sink, b"new")
    close(sink)
    assert path.read_bytes() == b"old\nnew\n"


def test_files_and_directories_are_private(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "log"
    sink = JsonLines(str(path))
    write(sink, b"x")
    close(sink)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == path.parent.parent.stat().st_mode & 0o777 == 0o700


@given(
    sizes=st.lists(st.lists(st.integers(1, 60), max_size=8), max_size=12),
    limit=st.integers(20, 100),
)
@settings(max_examples=25, deadline=None)
def test_rotation_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[list[int]], limit: int
) -> None:
    path = tmp_path_factory.mktemp("rotation") / "log"
    path.touch()
    batches = [[b"%d" % size * size for size in batch] for batch in sizes]

    sink = JsonLines(str(path), max_size_mb=limit / 1_000_000, max_backups=100)
    for batch in batches:
        write(sink, *batch)
    close(sink)
    lines = [line + b"\n" for batch in batches for line in batch]
    assert everything(path) == b"".join(lines)
    for name in backups(path):
        data = (path.parent / name).read_bytes()
        assert len(data) <= limit or data.count(b"\n") == 1, "too large, and not for one long line"


@pytest.mark.parametrize(
    ("keep", "names"), [(0, []), (1, ["coo-llm.log.1"]), (2, ["coo-llm.log.1", "coo-llm.log.2"])]
)
def test_only_so_many_backups_are_kept(path: Path, keep: int, names: list[str]) -> None:
    sink = JsonLines(str(path), max_size_mb=0.00001, max_backups=keep)
    for number in range(6):
        write(sink, b"line %d..." % number)
    close(sink)
    assert backups(path) == names
    assert everything(path) == b"".join(b"line %d...\n" % number for number in range(5 - keep, 6))


def test_a_moved_file_is_left_alone(path: Path) -> None:
    sink = JsonLines(str(path))
    write(sink, b"1")
    path.rename(path.with_suffix(".moved"))
    write(sink, b"2")
    path.unlink()
    write(sink, b"3")
    close(sink)
    assert path.with_suffix(".moved").read_bytes() == b"1\n"
    assert path.read_bytes() == b"3\n"


def test_a_full_disk_leaves_no_torn_line(path: Path) -> None:
    sink = JsonLines(str(path))
    write(sink, b"before")
    with file_size_limit(50), pytest.raises(OSError, match="too large"):
        write(sink, b"x" * 30, b"y" * 30)
    write(sink, b"after")
    close(sink)
    assert path.read_bytes() == b"before\nafter\n"


def test_a_line_torn_by_a_crash_stays_the_only_one(path: Path) -> None:
    path.write_bytes(b'{"torn')
    sink = JsonLines(str(path))
    write(sink, b"{}")
    close(sink)
    assert path.read_bytes() == b'{"torn\n{}\n'


def test_symbolic_links_and_devices_are_refused(path: Path) -> None:
    target = path.with_suffix(".target")
    path.symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        write(JsonLines(str(path)), b"x")
    assert not target.exists()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        write(JsonLines(str(path)), b"x")


def test_two_writers_rotate_one_file_together(path: Path) -> None:
    writers = [JsonLines(str(path), max_size_mb=0.0005, max_backups=100) for _ in range(2)]

    async def write(number: int) -> None:
        for line in range(100):
            await writers[number].write([b"writer %d line %02d" % (number, line)])
        await writers[number].close()

    async def both() -> None:
        await asyncio.gather(write(0), write(1))

    asyncio.run(both())
    lines = everything(path).splitlines()
    assert sorted(lines) == sorted(b"writer %d line %02d" % (w, n) for w in range(2) for n in range(100))
    assert min(path.with_name(name).stat().st_size for name in backups(path)) > 480, (
        "rotated before it was full"
    )


def test_closing_waits_for_a_write_that_was_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, go = threading.Event(), threading.Event()

    def flock(fd: int, operation: int) -> None:
        stuck.set()
        go.wait()

    monkeypatch.setattr("fcntl.flock", flock)

    async def give_up_and_close() -> None:
        sink = JsonLines(str(path))
        writing = asyncio.ensure_future(sink.write([b"x"]))
        await asyncio.to_thread(stuck.wait)
        writing.cancel()
        closing = asyncio.ensure_future(sink.close())
        assert await asyncio.wait({closing}, timeout=0.01) == (set(), {closing})
        go.set()
        await closing

    asyncio.run(give_up_and_close())
    assert path.read_bytes() == b"x\n"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: JsonLines(""), "path"),
        (lambda: JsonLines("x", max_size_mb=0), "max_size_mb"),
        (lambda: JsonLines("x", max_backups=-1), "max_backups"),
    ],
)
def test_settings_out_of_range_are_named(make: Callable[[], JsonLines], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
