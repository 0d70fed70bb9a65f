"""The file of events: whole after any crash, up to the last event."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from gateway_stores import file_state
from gateway_stores.file_state import StateFile


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


def numbers(path: str) -> list[Any]:
    return [entry["n"] for entry in StateFile(path).load()]


async def test_what_was_written_is_loaded(path: str) -> None:
    assert StateFile(path).load() == []
    (await written(path)).close()
    assert numbers(path) == [0, 1, 2, 3]
    assert mode(path) == 0o600


async def test_it_may_end_anywhere(path: str) -> None:
    (await written(path)).close()
    whole = content(path)
    for length in range(len(whole)):
        put(path, whole[:length])
        lines = whole[: length + 1].count(b"\n")  # the newline itself is no part of the last event
        assert numbers(path) == list(range(lines)), length


async def test_nothing_counts_after_a_byte_that_is_wrong(path: str) -> None:
    (await written(path)).close()
    whole = content(path)
    for offset in range(len(whole)):
        damaged = bytearray(whole)
        damaged[offset] ^= 1
        put(path, bytes(damaged))
        assert numbers(path) == list(range(whole[:offset].count(b"\n")))


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
