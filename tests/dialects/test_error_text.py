"""What a client may see of an upstream's error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.error_text import clean


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Incorrect API key: sk-proj-****abcd. Look", "Incorrect API key: [removed] Look"),
        ("gsk_abcdefgh, xai-abcdefgh and AIzaSyAbcdef", "[removed], [removed] and [removed]"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: [removed]"),
        ("a task-force at risk-level", "a task-force at risk-level"),
        ("http://10.1.2.3:8000/v1 and localhost:11434 refused", "[removed] and [removed] refused"),
        ("see https://platform.openai.com/docs", "see https://platform.openai.com/docs"),
        ("a\r\n\t\x1b[31mb\u2028c\x00", "a [31mb c"),
        ("a\u202eb\u200bc", "a b c"),
        (["a", {"b": None}], '["a",{"b":null}]'),
        (None, ""),
        (7, "7"),
    ],
)
def test_clean(text: object, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(st.text())
def test_cleaned_text_is_one_short_line(text: str) -> None:
    cleaned = clean(text * 100)
    assert len(cleaned) <= 500
    assert cleaned.isprintable()
