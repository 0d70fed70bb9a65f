"""The audit log: its chain, what a check of it finds, and pages of it read backwards."""

from __future__ import annotations

import json
import multiprocessing
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import audit
from gateway.audit import FIRST, AuditLog, verify


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(str(tmp_path / "logs" / "audit.log"))


def write(path: str, who: str, count: int) -> None:
    log = AuditLog(path)
    for number in range(count):
        log.append({"who": who, "number": number})


def test_a_chain_goes_on_after_a_restart(log: AuditLog) -> None:
    log.open()
    write(log.path, "first", 3)
    write(log.path, "second", 2)
    lines = [json.loads(line) for line in Path(log.path).read_text().splitlines()]
    assert [(line["who"], line["number"]) for line in lines] == [
        *(("first", n) for n in range(3)),
        *(("second", n) for n in range(2)),
    ]
    assert lines[0]["previous"] == FIRST
    found = verify(log.path)
    assert (found.lines, found.fault) == (5, None)
    assert stat.S_IMODE(Path(log.path).stat().st_mode) == 0o600


def test_directories_that_were_missing_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "logs"
    AuditLog(str(folder / "audit.log")).open()
    assert [stat.S_IMODE(one.stat().st_mode) for one in (folder, folder.parent)] == [0o700, 0o700]


def test_processes_and_threads_share_a_file(log: AuditLog) -> None:
    log.open()
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=write, args=(log.path, name, 40)) for name in "ab"]
    for other in others:
        other.start()
    threads = [Thread(target=log.append, args=({"who": "c", "number": n},)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for other in others:
        other.join(30)
    assert verify(log.path).lines == 120
    assert verify(log.path).fault is None


def change(lines: list[bytes]) -> None:
    lines[2] = lines[2].replace(b'"number":2', b'"number":7')


def remove(lines: list[bytes]) -> None:
    del lines[3]


def insert(lines: list[bytes]) -> None:
    lines.insert(3, lines[2])


def swap(lines: list[bytes]) -> None:
    lines[3:5] = lines[4], lines[3]


def garble(lines: list[bytes]) -> None:
    lines[3] = b"\xff\n"


def no_object(lines: list[bytes]) -> None:
    lines[3] = b"[]\n"


@pytest.mark.parametrize("tamper", [change, remove, insert, swap, garble, no_object])
def test_whatever_is_done_to_a_line_shows(log: AuditLog, tamper: object) -> None:
    log.open()
    write(log.path, "x", 6)
    path = Path(log.path)
    lines = path.read_bytes().splitlines(keepends=True)
    assert callable(tamper)
    tamper(lines)
    path.write_bytes(b"".join(lines))
    found = verify(log.path)
    assert found.lines == 3
    assert found.fault is not None


def test_a_log_whose_beginning_was_removed_says_so(log: AuditLog) -> None:
    log.open()
    write(log.path, "x", 3)
    path = Path(log.path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    assert (fault := verify(log.path).fault) is not None
    assert fault.startswith("is not the first of an audit log")


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Files take ``size`` bytes and no more, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 40, 80])
def test_of_a_line_that_does_not_fit_nothing_stays_and_the_chain_goes_on(log: AuditLog, room: int) -> None:
    log.open()
    write(log.path, "x", 3)
    before = Path(log.path).read_bytes()
    with room_for(len(before) + room), pytest.raises(OSError):
        log.append({"who": "full"})
    assert Path(log.path).read_bytes() == before
    assert log.trouble is not None
    write(log.path, "y", 2)
    assert (verify(log.path).lines, verify(log.path).fault) == (5, None)


@pytest.mark.parametrize("kept", [0, 2])
def test_part_of_a_line_that_a_crash_left_is_cut_off(
    log: AuditLog, caplog: pytest.LogCaptureFixture, kept: int
) -> None:
    log.open()
    write(log.path, "x", kept + 1)
    path = Path(log.path)
    path.write_bytes(path.read_bytes()[:-20])
    assert (verify(log.path).lines, verify(log.path).fault) == (kept, "is cut off")
    write(log.path, "y", 2)
    assert (verify(log.path).lines, verify(log.path).fault) == (kept + 2, None)
    entries, _ = log.newest(10)
    assert [entry["who"] for entry in entries] == ["y", "y", *kept * ["x"]]
    assert caplog.messages == ["cut off part of a line in the audit log"]


def test_a_line_that_only_lacks_its_end_is_kept(log: AuditLog) -> None:
    log.open()
    write(log.path, "x", 3)
    path = Path(log.path)
    path.write_bytes(path.read_bytes()[:-1])
    write(log.path, "y", 2)
    assert (verify(log.path).lines, verify(log.path).fault) == (5, None)


def test_the_last_hash_tells_of_lines_cut_off_at_the_end(log: AuditLog) -> None:
    log.open()
    write(log.path, "x", 3)
    before = verify(log.path)
    path = Path(log.path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    after = verify(log.path)
    assert after.fault is None
    assert after.last != before.last


def test_secrets_and_line_breaks_do_not_get_into_it(log: AuditLog) -> None:
    log.open()
    log.append({"target": {"id": "sk-0123456789abcdef\n{}"}, "password": "secret"})
    text = Path(log.path).read_text()
    assert len(text.splitlines()) == 1
    assert "0123456789abcdef" not in text
    assert '"secret"' not in text


def test_a_line_that_cannot_be_written_is_remembered(log: AuditLog) -> None:
    log.open()
    Path(log.path).unlink()
    Path(log.path).mkdir()
    with pytest.raises(OSError):
        log.append({})
    assert log.trouble == f"Is a directory: {log.path}"
    Path(log.path).rmdir()
    log.append({})
    assert log.trouble is None


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.integers(0, 300), max_size=25), st.integers(1, 7), st.integers(40, 400))
def test_pages_hold_every_entry_once_newest_first(
    tmp_path: Path, lengths: list[int], page: int, block: int
) -> None:
    path = tmp_path / "audit.log"
    path.unlink(missing_ok=True)
    log = AuditLog(str(path))
    for number, length in enumerate(lengths):
        log.append({"number": number, "filling": "x" * length})
    found: list[int] = []
    before: int | None = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "_BLOCK", block)
        for _ in range(len(lengths) + 1):
            entries, before = log.newest(page, before)
            found += [entry["number"] for entry in entries]
            if before is None:
                break
        assert verify(str(path) if lengths else "/dev/null").lines == len(lengths)
    assert found == list(reversed(range(len(lengths))))


def test_only_what_is_wanted_page_by_page(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST_LINES", 5)
    log.open()
    write(log.path, "me", 20)
    found: list[int] = []
    before, pages = None, 0
    while pages == 0 or before is not None:
        entries, before = log.newest(2, before, lambda entry: entry["number"] % 3 == 0)
        found += [entry["number"] for entry in entries]
        pages += 1
    assert found == [18, 15, 12, 9, 6, 3, 0]


@pytest.mark.parametrize("rotated", [False, True])
def test_trouble_is_over_once_another_process_writes(log: AuditLog, rotated: bool) -> None:
    log.open()
    write(log.path, "first", 2)
    with room_for(Path(log.path).stat().st_size), pytest.raises(OSError, match="large"):
        log.append({"who": "nobody"})
    assert log.trouble == f"File too large: {log.path}"
    if rotated:
        Path(log.path).rename(f"{log.path}.1")
        assert log.trouble is not None
    write(log.path, "other", 1)
    assert log.trouble is None
