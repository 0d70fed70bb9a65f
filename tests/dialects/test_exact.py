"""Integers of any length, there and back."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import exact

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@given(values | st.integers(-(10**60), 10**60))
def test_what_was_written_is_read(value: Any) -> None:
    assert exact.loads(exact.dumps(value).encode()) == value


def test_what_needs_no_care_is_written_as_orjson_does() -> None:
    value = {"é": [1.5, 2**64 - 1, None], "b": "\n"}
    assert exact.dumps(value).encode() == orjson.dumps(value)
    assert exact.dumps({"é": [10**30]}) == '{"é":[1' + "0" * 30 + "]}"


def test_what_is_nested_too_deeply_is_not_written() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="nested too deeply"):
        exact.dumps(value)
    with pytest.raises(orjson.JSONDecodeError):
        exact.loads(b"[" * 5000 + b"1" * 30)
