"""The file of events: whole after any crash, up to the last event."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_stores import file_state
from gateway_stores.file_state import UNREADABLE, StateFile


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "store.db.windows")


async def written(path: str) -> StateFile:
    file = StateFile(path)
    await file.snapshot({"n": 0})
    for number in range(1, 4):
        file.append({"n": number})
    return file


def content(path: str) -> bytes:
    return Path(path).read_bytes()


def put(path: str, data: bytes) -> None:
    Path(path).write_bytes(data)


def mode(path: str) -> int:
    return Path(path).stat().st_mode & 0o777


def beside(path: str) -> list[str]:
    return [str(copy) for copy in Path(path).parent.glob("*.corrupt-*")]


def touched(whole: bytes, offset: int) -> set[int]:
    """The events that lose by a damaged byte: two where it was the newline between them."""
    line = whole[:offset].count(b"\n")
    if offset == len(whole) - 1:
        return set()
    return {number - 2 for number in ({line, line + 1} if whole[offset : offset + 1] == b"\n" else {line})}


def numbers(path: str) -> list[Any]:
    return [entry["n"] for entry in StateFile(path).load()]


async def test_what_was_written_is_loaded(path: str) -> None:
    assert StateFile(path).load() == []
    (await written(path)).close()
    assert numbers(path) == [0, 1, 2, 3]
    assert mode(path) == 0o600


async def test_it_may_end_anywhere(path: str, caplog: pytest.LogCaptureFixture) -> None:
    (await written(path)).close()
    whole = content(path)
    ends = [line.end() - 1 for line in re.finditer(b"\n", whole)]  # the newline itself is no part of the last
    for length in range(ends[0], len(whole)):
        put(path, whole[:length])
        assert numbers(path) == list(range(1 + sum(length >= end for end in ends[3:]))), length
    assert not caplog.records
    assert beside(path) == []


@given(data=st.data())
async def test_a_damaged_byte_costs_no_more_than_what_it_belongs_to(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = f"{folder}/store.db.windows"
        (await written(path)).close()
        whole = content(path)
        damaged = bytearray(whole)
        offset = data.draw(st.integers(0, len(whole) - 1))
        damaged[offset] ^= data.draw(st.integers(1, 255))
        put(path, bytes(damaged))
        entries = StateFile(path).load()
        assert [content(copy) for copy in beside(path)] == [damaged]
    known = [entry["n"] for entry in entries if entry != UNREADABLE]
    assert known == [number for number in range(4) if number == 0 or number not in touched(whole, offset)]
    assert UNREADABLE in entries[1:] or len(known) == 4


async def test_what_was_skipped_is_said_and_kept(path: str, caplog: pytest.LogCaptureFixture) -> None:
    (await written(path)).close()
    lines = content(path).splitlines(keepends=True)
    put(path, damaged := b"".join([*lines[:3], b"x" + lines[3][1:], *lines[4:]]))
    assert StateFile(path).load() == [{"n": 0}, UNREADABLE, {"n": 2}, {"n": 3}]
    [line] = caplog.records
    said = vars(line)
    assert line.levelname == "WARNING"
    assert (said["path"], said["skipped_lines"], said["skipped_bytes"]) == (path, 1, len(lines[3]))
    assert content(said["kept_in"]) == damaged
    assert mode(said["kept_in"]) == 0o600


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\0" * 4096, b"\n\n"])
async def test_a_file_without_anything_whole_is_kept(
    data: bytes, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(path, data)
    assert [entry for entry in StateFile(path).load() if entry != UNREADABLE] == []
    assert [content(copy) for copy in beside(path)] == [data]
    assert len(caplog.records) == 1


async def test_damage_of_which_no_copy_can_be_made_is_still_damage(
    path: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(path, b"nonsense")
    monkeypatch.setattr(file_state, "aside", lambda path: f"{path}/nowhere")
    StateFile(path).load()
    assert [vars(line)["kept_in"] for line in caplog.records] == [None]


async def test_what_an_earlier_version_wrote_is_loaded(path: str) -> None:
    (await written(path)).close()
    lines = content(path).splitlines(keepends=True)
    put(path, b"".join([lines[0], *lines[3:]]))
    assert numbers(path) == [0, 1, 2, 3]


async def test_a_snapshot_takes_the_place_of_all_before(path: str) -> None:
    file = await written(path)
    await file.snapshot({"n": 10})
    file.append({"n": 11})
    file.close()
    assert numbers(path) == [10, 11]


async def test_what_is_appended_while_a_snapshot_is_written_follows_it(path: str) -> None:
    file = await written(path)
    writing = asyncio.create_task(file.snapshot({"n": 10}))
    await asyncio.sleep(0)
    file.append({"n": 11})
    assert numbers(path) == [0, 1, 2, 3, 11], "until then the old file is as good"
    await writing
    file.append({"n": 12})
    file.close()
    assert numbers(path) == [10, 11, 12]


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
async def test_a_snapshot_that_fails_leaves_the_old_file(
    call: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await written(path)

    def fail(*_: object) -> None:
        raise OSError("as told")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="as told"):
            await file.snapshot({"n": 10})
    file.append({"n": 4})
    assert numbers(path) == [0, 1, 2, 3, 4]
    await file.snapshot({"n": 10})
    file.close()
    assert numbers(path) == [10]


async def test_after_an_event_that_was_not_written_a_snapshot_is_due(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await written(path)
    assert not file.grown
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: len(data) - 1)
        with pytest.raises(OSError, match="full"):
            file.append({"n": 4})
    assert file.grown
    file.append({"n": 5})
    assert numbers(path) == [0, 1, 2, 3], "events without the one before them mislead"
    await file.snapshot({"n": 6})
    assert not file.grown
    file.close()
    assert numbers(path) == [6]


async def test_it_does_not_grow_for_ever(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_state, "GROWN_BYTES", 1000)
    file = await written(path)
    for number in range(1000):
        file.append({"n": number})
        if file.grown:
            await file.snapshot({"n": number})
    file.close()
    assert len(content(path)) < 2000
