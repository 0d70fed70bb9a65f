"""Asking for a password."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from gateway.config import password
from gateway.config.password import ask


class Terminal(io.StringIO):
    """Standard input that is a terminal."""

    def isatty(self) -> bool:
        return True


def type_in(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    left: Iterator[str] = iter(answers)

    def getpass(prompt: str = "Password: ") -> str:
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(password, "getpass", getpass)


def test_at_a_terminal_it_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, "open sesame", "open sesame")
    assert ask() == "open sesame"


@pytest.mark.parametrize(
    ("answers", "message"), [(("a", "b"), "not the same"), (("", ""), "empty"), (("a",), "no password")]
)
def test_at_a_terminal_it_may_go_wrong(
    monkeypatch: pytest.MonkeyPatch, answers: tuple[str, ...], message: str
) -> None:
    type_in(monkeypatch, *answers)
    with pytest.raises(ValueError, match=message):
        ask()


def test_else_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("open sesame \r\nmore"))
    assert ask() == "open sesame "


@pytest.mark.parametrize(("data", "message"), [(b"", "empty"), (b"\n", "empty"), (b"\xff\n", "UTF-8")])
def test_a_line_that_is_none(monkeypatch: pytest.MonkeyPatch, data: bytes, message: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
    with pytest.raises(ValueError, match=message):
        ask()
