"""What could not be reported is found by who comes after, once, whatever became of the file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.api.testing.clock import ManualClock
from gateway_stores.windows.unreported_file import UnreportedFile, Usage


def test_it_is_found_by_others_while_its_process_lives_and_then_inherited(tmp_path: Path) -> None:
    clock = ManualClock()
    usages = [Usage("client:größer", "budget", clock.now - 30.0, 2**53), Usage("key:p/k", "tokens", 5.0, 1)]
    one = UnreportedFile(tmp_path / "journal", "one", clock)
    assert one.find() == ([], [])
    one.keep(usages[:1])
    one.keep(usages)
    later = ManualClock(clock.now + 1000.0)  # another process, whose clock began at another time
    other = UnreportedFile(tmp_path / "journal", "other", later)
    inherited, of_others = other.find()
    assert inherited == []
    assert [(one.subject, one.kind, one.amount) for one in of_others] == [
        (one.subject, one.kind, one.amount) for one in usages
    ]
    assert [later.now - one.at for one in of_others] == pytest.approx([30.0, 995.0], abs=1.0)
    one.release()
    heir = UnreportedFile(tmp_path / "journal", "heir", later)
    found, rest = heir.find()
    assert (len(found), rest) == (2, [])
    heir.keep(found)
    heir.release()
    assert len(UnreportedFile(tmp_path / "journal", "next", later).find()[0]) == 2


def test_nothing_is_left_where_all_is_reported(tmp_path: Path) -> None:
    clock = ManualClock()
    one = UnreportedFile(tmp_path, "one", clock)
    one.keep([])
    one.keep([Usage("s", "requests", 0.0, 1)])
    one.keep([])
    assert list(tmp_path.iterdir()) == []


def test_what_no_heir_has_kept_is_found_again(tmp_path: Path) -> None:
    clock = ManualClock()
    for name in ("first", "second"):
        left = UnreportedFile(tmp_path, name, clock)
        left.keep([Usage("s", "requests", 0.0, 1)])
        left.release()
    killed = UnreportedFile(tmp_path, "killed", clock)
    assert len(killed.find()[0]) == 2
    killed.release()
    heir = UnreportedFile(tmp_path, "heir", clock)
    assert len(heir.find()[0]) == 2


@pytest.mark.parametrize("content", [b"", b"[", b"{}x", b"[[]]", b'[["s", "requests", null, 1]]'])
def test_what_cannot_be_read_is_set_aside_and_told(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "unreported-one.json"
    path.write_bytes(content)
    assert UnreportedFile(tmp_path, "other", ManualClock()).find() == ([], [])
    [line] = caplog.records
    assert line.message == "what was used without the store cannot be read, and is set aside"
    [apart] = tmp_path.glob("unreported-one.json.corrupt-*")
    assert apart.read_bytes() == content


def test_what_cannot_be_kept_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    one = UnreportedFile(tmp_path / "file" / "journal", "one", ManualClock())
    for _ in range(2):
        one.keep([Usage("s", "requests", 0.0, 1)])
    [line] = caplog.records
    assert line.message == "what is used without the store cannot be kept"
    assert "NotADirectoryError" in line.__dict__["error"]


def test_a_wall_clock_that_went_back_makes_nothing_younger_than_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    one = UnreportedFile(tmp_path, "one", clock)
    one.keep([Usage("s", "requests", clock.now, 1)])
    one.release()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86400.0)
    [usage] = UnreportedFile(tmp_path, "heir", clock).find()[0]
    assert usage.at == clock.now
