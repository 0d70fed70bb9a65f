"""What is and what is not taken as a JSON body."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import ApiError
from gateway.request.accept import MAX_DEPTH, parse

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"model": "a"',
        b'{"model": "a"} x',
        b'{"model": "a\x00"}',
        b'{"model": "\xff"}',
        '{"model": "a"}'.encode("utf-16"),
        b'{"model": "\\ud800"}',
        b'{"temperature": NaN}',
        b'{"temperature": Infinity}',
    ],
)
def test_what_is_no_json_is_refused_without_repeating_it(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        parse(body)
    assert caught.value.code == "invalid_json"
    assert "model" not in caught.value.message


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b"[" * 65 + b"]" * 65])
def test_deep_nesting_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        parse(body)
    assert caught.value.code == "json_too_deep"


def test_nesting_is_allowed_up_to_the_limit() -> None:
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


def test_wide_values_are_not_deep() -> None:
    assert len(parse(b"[" + b"[],{}," * 1000 + b"[]]")) == 2001


def test_of_a_repeated_key_the_last_counts() -> None:
    assert parse(b'{"model": "a", "model": "b"}') == {"model": "b"}


@given(json_values)
@settings(max_examples=50, deadline=None)
def test_valid_json_is_taken_as_it_is(value: object) -> None:
    assert parse(orjson.dumps(value)) == value
