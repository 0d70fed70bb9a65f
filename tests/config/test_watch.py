"""The watcher, with and without file system events, over every way a file changes."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from watchdog.events import FileSystemEvent

from gateway.config import watch
from gateway.config.watch import Watcher

FIRST, SECOND, THIRD = "first\n", "other\n", "third\n"
GONE = ""


class Seen:
    """What the file held whenever the watcher called, and where it was called."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._news = asyncio.Event()
        self.contents: list[str] = []
        self.threads: set[int] = set()

    def __call__(self) -> None:
        self.contents.append(self._path.read_text() if self._path.exists() else GONE)
        self.threads.add(threading.get_ident())
        self._news.set()

    async def next(self) -> str:
        """The content at the next call."""
        async with asyncio.timeout(10):
            await self._news.wait()
        self._news.clear()
        return self.contents[-1]


class Blind:
    """An observer on a system that has no watches left."""

    def start(self) -> None:
        raise OSError(24, "inotify instance limit reached")


@pytest.fixture(params=["events", "polling"])
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits; once with events alone to rely on, once with polling alone."""
    if request.param == "polling":
        monkeypatch.setattr(watch, "Observer", Blind)
        monkeypatch.setattr(watch, "_POLL", 0.01)
    else:
        monkeypatch.setattr(watch, "_POLL", 60.0)
    monkeypatch.setattr(watch, "_SETTLE", 0.02)


def digest_of(path: Path) -> bytes:
    return sha256(path.read_bytes()).digest()


@asynccontextmanager
async def watching(path: Path) -> AsyncIterator[Seen]:
    seen = Seen(path)
    watcher = Watcher(str(path), seen, asyncio.get_running_loop(), digest_of(path))
    watcher.start()
    try:
        yield seen
    finally:
        watcher.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(FIRST)
    return path


def write(path: Path, content: str = SECOND) -> None:
    path.write_text(content)


def delete(path: Path) -> None:
    path.unlink()


def write_with_the_same_stamp(path: Path) -> None:
    before = path.stat()
    path.write_text(SECOND)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def rename_over(path: Path) -> None:
    new = path.with_suffix(".new")
    new.write_text(SECOND)
    new.replace(path)


def delete_and_create(path: Path) -> None:
    path.unlink()
    path.write_text(SECOND)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("change", [write, write_with_the_same_stamp, rename_over, delete_and_create])
async def test_changes_are_noticed_in_the_loop_s_thread(path: Path, change: Callable[[Path], None]) -> None:
    async with watching(path) as seen:
        change(path)
        assert await seen.next() == SECOND
        rename_over(path)
        write(path, THIRD)
        assert await seen.next() == THIRD
    assert seen.threads == {threading.get_ident()}


@pytest.mark.usefixtures("quick")
async def test_symlinks_that_are_switched(tmp_path: Path) -> None:
    """As Kubernetes updates a mounted volume."""
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "config.yaml").write_text(FIRST)
    (tmp_path / "..data").symlink_to("v1")
    path = tmp_path / "config.yaml"
    path.symlink_to("..data/config.yaml")
    async with watching(path) as seen:
        for version, content in (("v2", SECOND), ("v3", THIRD)):
            (tmp_path / version).mkdir()
            (tmp_path / version / "config.yaml").write_text(content)
            (tmp_path / "..tmp").symlink_to(version)
            (tmp_path / "..tmp").replace(tmp_path / "..data")
            assert await seen.next() == content
        (tmp_path / "v3" / "config.yaml").write_text(FIRST)
        assert await seen.next() == FIRST


@pytest.mark.usefixtures("quick")
async def test_what_changes_no_content_calls_nobody(path: Path) -> None:
    same = path.with_suffix(".same")
    same.write_text(FIRST)
    async with watching(path) as seen:
        os.utime(path, (0, 0))
        delete(path)
        same.replace(path)
        rename_over(path)
        assert await seen.next() == SECOND
    assert seen.contents == [SECOND]


@pytest.mark.usefixtures("quick")
async def test_a_file_that_is_gone_calls_once_and_again_when_it_is_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_GONE_AFTER", 0.1)
    async with watching(path) as seen:
        delete(path)
        assert await seen.next() == GONE
        path.with_suffix(".other").write_text("wakes the watcher once more")
        await asyncio.sleep(0.3)
        write(path, FIRST)
        assert await seen.next() == FIRST
    assert seen.contents == [GONE, FIRST]


@pytest.mark.usefixtures("quick")
async def test_a_file_that_is_missing_for_a_moment_is_no_news(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As while an editor, or a tool, puts another in its place."""
    async with watching(path) as seen:
        caplog.clear()
        delete(path)
        await asyncio.sleep(0.3)
        write(path)
        assert await seen.next() == SECOND
    assert seen.contents == [SECOND]
    assert caplog.messages == []


async def test_a_storm_is_few_calls_and_ends_with_the_last(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_SETTLE", 0.1)
    async with watching(path) as seen:
        for i in range(60):
            write(path, f"{i}\n")
            await asyncio.sleep(0.005)
        while await seen.next() != "59\n":
            pass
    assert len(seen.contents) < 20


async def test_a_storm_without_end_starves_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_LONGEST_WAIT", 0.1)
    monkeypatch.setattr(watch, "_SETTLE", 10.0)
    async with watching(path) as seen:
        calls = 0
        while not seen.contents:
            calls += 1
            write(path, f"{calls}\n")
            await asyncio.sleep(0.005)


async def test_nobody_is_called_after_stop(path: Path) -> None:
    seen = Seen(path)
    watcher = Watcher(str(path), seen, asyncio.get_running_loop(), digest_of(path))
    watcher.start()
    watcher.stop()
    write(path)
    watcher._deliver()
    assert seen.contents == []


@pytest.mark.usefixtures("quick")
async def test_a_change_before_the_first_look_is_not_lost(path: Path) -> None:
    read_at_the_start = digest_of(path)
    write(path)
    seen = Seen(path)
    watcher = Watcher(str(path), seen, asyncio.get_running_loop(), read_at_the_start)
    watcher.start()
    assert await seen.next() == SECOND
    watcher.stop()


async def test_what_is_written_beside_the_file_wakes_nobody(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log file that is held open, and one that is opened for each line."""
    monkeypatch.setattr(watch, "_POLL", 60.0)
    looks = 0
    woken = 0
    read, on_any_event = Watcher._read, Watcher.on_any_event

    def count_look(watcher: Watcher) -> bytes | None:
        nonlocal looks
        looks += 1
        return read(watcher)

    def count_event(watcher: Watcher, event: FileSystemEvent) -> None:
        nonlocal woken
        woken += 1
        on_any_event(watcher, event)

    beside = path.with_name("coo-llm.log")
    beside.touch()
    monkeypatch.setattr(Watcher, "_read", count_look)
    monkeypatch.setattr(Watcher, "on_any_event", count_event)
    async with watching(path) as seen:
        with beside.open("a") as log:
            for i in range(1000):
                log.write(f"line {i}\n")
                log.flush()
        for i in range(10):
            with beside.open("a") as log:
                log.write(f"line {i}\n")
        write(path)
        assert await seen.next() == SECOND
    assert woken <= 15
    assert looks <= 5
