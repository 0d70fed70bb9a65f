"""References in strings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.substitute import Substituted, SubstitutionError, expand

ENVIRON = {"A": "alpha", "EMPTY": "", "TRICKY": "${A} $$ }"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${A}", "alpha"),
        ("x${A}y${A}z", "xalphayalphaz"),
        ("${NOPE:-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}", ""),
        ("${NOPE:-}", ""),
        ("${NOPE:-a:-b}", "a:-b"),
        ("${NOPE:-${A}!}", "alpha!"),
        ("${TRICKY}", "${A} $$ }"),
        ("$${A}", "${A}"),
        ("$$${A}", "$alpha"),
        ("$A costs $5 or $", "$A costs $5 or $"),
        ("100$$", "100$"),
        ("}{", "}{"),
    ],
)
def test_expand(text: str, expanded: str) -> None:
    assert expand(text, ENVIRON) == expanded


def test_only_what_was_substituted_is_marked() -> None:
    assert isinstance(expand("${A}", ENVIRON), Substituted)
    assert type(expand("$$x", ENVIRON)) is str
    assert "alpha" not in repr(expand("${A}", ENVIRON))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NOPE}", "variable NOPE is not set"),
        ("${A", "never closed"),
        ("${}", "must hold a variable's name"),
        ("${A-B}", "must hold a variable's name"),
        ("${ A }", "must hold a variable's name"),
        ("${X:-" * 50 + "}" * 50, "nested"),
        ("${file:/does/not/exist}", "cannot read the file /does/not/exist: No such file"),
        ("${file:/}", "cannot read the file /: Is a directory"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(SubstitutionError, match=message):
        expand(text, ENVIRON)


def test_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n\n")
    assert expand(f"${{file:{tmp_path}/key}}", {}) == "secret\n"
    assert expand("${file:${DIR}/key}", {"DIR": str(tmp_path)}) == "secret\n"
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(SubstitutionError, match="UTF-8"):
        expand(f"${{file:{tmp_path}/binary}}", {})
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    with pytest.raises(SubstitutionError, match="larger"):
        expand(f"${{file:{tmp_path}/large}}", {})


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_dollars_doubled_give_any_text_back(text: str) -> None:
    assert expand(text.replace("$", "$$"), {}) == text
