"""Settings as text to edit: what is written is read as the same, and mistakes have their line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.editing import lines_of, nested, patch_in, scalar, written
from gateway.config.problems import ConfigError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=10)


@given(st.dictionaries(texts, values, min_size=1))
def test_what_is_written_is_read_as_the_same(settings: dict[str, Any]) -> None:
    assert patch_in(written(settings)).value == settings


@pytest.mark.parametrize(
    "text", ["no", "1e5", "010", "1:30", "", "~", "null", "-1", "a: b", "# x", "…", "é\u2028"]
)
def test_text_stays_text(text: str) -> None:
    assert patch_in(written({"a": text})).value == {"a": text}


def test_nothing_is_substituted() -> None:
    text = "a: ${HOME}\nb: ${file:/etc/passwd}\nc: $$"
    assert patch_in(text).value == {"a": "${HOME}", "b": "${file:/etc/passwd}", "c": "$$"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("policy:\n  retry: ]", 2, "not valid YAML"),
        ("a: 1\na: 2", 2, "twice"),
        ("a: &x 1", 1, "anchors"),
        ("- 1", 1, "settings by their names"),
        ("just words", 1, "settings by their names"),
    ],
)
def test_mistakes_have_a_line(text: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        patch_in(text)
    (problem,) = caught.value.errors
    assert problem.line == line
    assert message in problem.message


def test_no_text_sets_nothing() -> None:
    assert patch_in(" \r\n").value == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        (" 0.5 ", 0.5),
        ("true", True),
        ("", None),
        ("30s", "30s"),
        ("a: b", "a: b"),
        ("[1]", "[1]"),
        ("&x", "&x"),
    ],
)
def test_what_a_field_holds(text: str, value: object) -> None:
    assert scalar(text) == value


def test_one_setting_alone() -> None:
    path = ("llm_providers", "up", "api_keys", "first", "limits", "req_per_min")
    keys = [{"id": "first", "limits": {"req_per_min": 5}}]
    assert nested(path, 5) == {"llm_providers": [{"id": "up", "api_keys": keys}]}
    assert nested(("model_aliases", "a.b"), ["up:m"]) == {"model_aliases": {"a.b": ["up:m"]}}


def test_lines_are_found_by_ids() -> None:
    text = "llm_providers:\n  - id: up\n    limits:\n      req_per_min: 5\nserver: {listen: x}"
    lines = lines_of(patch_in(text))
    assert lines["llm_providers.up.limits.req_per_min"] == 4
    assert lines["server.listen"] == 5
