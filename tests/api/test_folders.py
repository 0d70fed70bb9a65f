"""Folders are private where they are made, and left alone where they were there."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.api.folders import make_private_folder


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o777


def test_all_that_is_missing_is_private_and_what_is_there_stays(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    there.chmod(0o755)
    for _ in range(2):
        make_private_folder(there / "a" / "b")
        assert [mode(folder) for folder in (there, there / "a", there / "a" / "b")] == [0o755, 0o700, 0o700]
    make_private_folder(there)
    assert mode(there) == 0o755


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_private_folder(Path("."))
    make_private_folder(Path("a/../b/c"))
    assert [mode(tmp_path / name) for name in ("a", "b", "b/c")] == [0o700] * 3
    Path("file").touch()
    with pytest.raises(NotADirectoryError) as caught:
        make_private_folder(Path("file/a"))
    assert caught.value.filename == str(tmp_path / "file")


def test_a_link_to_a_folder_is_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    make_private_folder(tmp_path / "link" / "a")
    assert mode(tmp_path / "there" / "a") == 0o700


@pytest.mark.parametrize("wanted", ["taken", "taken/a", "nowhere", "nowhere/a"])
def test_what_is_no_folder_is_named(tmp_path: Path, wanted: str) -> None:
    (tmp_path / "taken").touch()
    (tmp_path / "nowhere").symlink_to("/nowhere/at/all")
    with pytest.raises(NotADirectoryError) as caught:
        make_private_folder(tmp_path / wanted)
    assert str(caught.value.filename).startswith(str(tmp_path / wanted.split("/")[0]))
