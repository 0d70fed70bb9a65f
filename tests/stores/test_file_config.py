"""The file of the configuration: always whole, private, and never overwritten where it is not understood."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.api import StoreUnavailable
from gateway_stores.file_config import FileConfigStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "config.json"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[FileConfigStore]:
    made = FileConfigStore(str(path))
    await made.open()
    yield made
    await made.close()


def put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def read(path: Path) -> bytes:
    return path.read_bytes()


@pytest.mark.parametrize("content", [b"", b'{"half', b"\xff\xfe"])
async def test_what_is_not_json_stays_as_it_is(content: bytes, store: FileConfigStore, path: Path) -> None:
    version = await store.write(b"{}", "")
    put(path, content)
    for call in (store.read(), store.version(), store.write(b"{}", version), store.write(b"{}", "")):
        with pytest.raises(StoreUnavailable, match=f"^{path}: is not JSON .*: mend it, or remove it"):
            await call
    assert read(path) == content
    await asyncio.to_thread(path.unlink)
    assert await store.write(b"{}", "") == version


@pytest.mark.parametrize("call", ["fsync", "rename"])
async def test_a_write_that_fails_leaves_the_old_document(
    call: str, store: FileConfigStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = await store.write(b'{"a":1}', "")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(StoreUnavailable, match="No space left on device"):
            await store.write(b'{"a":2}', version)
    assert await store.read() == (version, b'{"a":1}')
    assert sorted(file.name for file in path.parent.iterdir()) == ["config.json", "config.json.lock"]
    await store.write(b'{"a":2}', version)


async def test_what_a_crash_left_of_a_draft_is_no_hindrance(store: FileConfigStore, path: Path) -> None:
    put(path.with_name("config.json.new"), b'{"half')
    await store.write(b"{}", "")
    assert read(path) == b"{}"


async def test_it_is_private(store: FileConfigStore, path: Path) -> None:
    await store.write(b"{}", "")
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_directories_that_were_missing_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "lib"
    store = FileConfigStore(str(folder / "config.json"))
    await store.open()
    await store.close()
    assert [one.stat().st_mode & 0o777 for one in (folder, folder.parent)] == [0o700, 0o700]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write for others")
async def test_what_root_writes_is_the_service_s(store: FileConfigStore, path: Path) -> None:
    await store.write(b"{}", "")
    os.chown(path.parent, 1234, 4321)
    await store.write(b"[]", await store.version())
    found = os.stat(path)
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 4321, 0o600)


async def test_an_edit_by_hand_is_another_version(store: FileConfigStore, path: Path) -> None:
    version = await store.write(b'{"a":1}', "")
    put(path, b'{"b":12}')
    assert await store.version() not in ("", version)


async def test_a_symbolic_link_is_not_followed(store: FileConfigStore, path: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", b"{}")
    await asyncio.to_thread(path.symlink_to, tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailable, match="symbolic"):
        await store.read()


async def test_a_path_that_cannot_be_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=f"^{tmp_path / 'file'}: Not a directory$"):
        await FileConfigStore(str(tmp_path / "file" / "config.json")).open()
