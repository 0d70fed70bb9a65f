"""What YAML is taken, and how its scalars are read."""

from __future__ import annotations

import pytest

from gateway.config.document import parse
from gateway.config.problems import ConfigError
from gateway.config.substitute import Substituted


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("5", 5),
        ("-3", -3),
        ("0.002", 0.002),
        ("1e6", 1e6),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("no", "no"),
        ("010", "010"),
        ("1:30", "1:30"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        (".nan", ".nan"),
        ("2027-01-31", "2027-01-31"),
        ('"5"', "5"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_scalars(scalar: str, value: object) -> None:
    read = parse(f"a: {scalar}".encode(), {}).value["a"]
    assert read == value
    assert type(read) is type(value)


def test_lines_are_known_to_the_value() -> None:
    document = parse(b"a:\n  - b: 1\n  - c\nd:\n  e: {f: 2}\n", {})
    assert document.value == {"a": [{"b": 1}, "c"], "d": {"e": {"f": 2}}}
    assert document.line(("a", 0, "b")) == 2
    assert document.line(("a", 1)) == 3
    assert document.line(("d", "e", "f", "further", "in")) == 5


def test_keys_are_text() -> None:
    assert parse(b"5: a\ntrue: b\n", {}).value == {"5": "a", "true": "b"}


def test_references_are_replaced_and_marked() -> None:
    value = parse(b"a: ${X}\nb: plain\n", {"X": "1: {injected: true}"}).value
    assert value == {"a": "1: {injected: true}", "b": "plain"}
    assert isinstance(value["a"], Substituted)


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "here twice, first in line 1", 3),
        ("a: &x 1\nb: 2\n", "anchors", 1),
        ("a: 1\nb: *x\n", "anchors", 2),
        ("a: !!python/object/apply:os.system [ls]\n", "!!python/object/apply:os.system", 1),
        ("a: !thing 1\n", "tags are not allowed (!thing)", 1),
        ("a: 1\nb: ${NOPE}\n", "NOPE is not set", 2),
    ],
)
def test_what_is_reported_and_read_past(text: str, message: str, line: int) -> None:
    (problem,) = parse(text.encode(), {}).problems
    assert message in problem.message
    assert problem.line == line


@pytest.mark.parametrize(
    ("data", "message", "line"),
    [
        (b"", "the file is empty", None),
        (b"# only a comment\n", "the file is empty", None),
        (b"null\n", "the file is empty", None),
        (b"a: 1\nb: [1, 2\n", "not valid YAML", 3),
        (b"a: 1\nb: \xff\n", "not valid UTF-8", 2),
        (b"a: 1\n\nb: \x00\n", "NUL", 3),
        (b"a: \x07\n", "not valid YAML", None),
        (b"a: [b", "not valid YAML: did not find", 2),
        (b"a:\n\tb: 1\n", "not valid YAML: indent with spaces, not with tabs", 2),
        (b"a: 1\nb: @c\n", "not valid YAML: put text that begins with @ in quotes", 2),
        (b"a: 1\n---\nb: 2\n", "more than one document", 2),
        (b"[a]: 1\n", "a key must be plain text", 1),
        (b"a: " + b"[" * 40 + b"]" * 40, "nested more than 32 levels", 1),
        (b"a: " + b"[" * 100_000, "nested more than 32 levels|maximum nesting depth", 1),  # ours or libyaml's
        (b"#" * (1024 * 1024 + 1), "larger than", None),
    ],
)
def test_what_nothing_can_be_made_of(data: bytes, message: str, line: int | None) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse(data, {})
    (problem,) = caught.value.errors
    assert line is None or problem.line == line


def test_a_byte_order_mark_and_crlf_are_no_matter() -> None:
    assert parse("\ufeffa: 1\r\nb: c\r\n".encode(), {}).value == {"a": 1, "b": "c"}


def test_text_that_is_no_unicode_is_reported() -> None:
    (problem,) = parse(b"a: ${X}\n", {"X": "\udcff"}).problems
    assert problem.message == "not valid Unicode text"
