"""Embeddings: base64 is little-endian float32, and answers come in the encoding asked for."""

from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.embeddings import match_encoding, pack_base64, unpack_base64


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_there_and_back(values: list[float]) -> None:
    assert base64.b64decode(pack_base64(values)) == struct.pack(f"<{len(values)}f", *values)
    assert unpack_base64(pack_base64(values)) == values


@pytest.mark.parametrize("text", ["AAA", "AAAAP===", "AAAAPw", "AA==", "!!!!", "\u00e9"])
def test_no_base64_of_floats(text: str) -> None:
    with pytest.raises(ValueError):
        unpack_base64(text)


def test_integers_are_numbers_and_text_is_not() -> None:
    assert unpack_base64(pack_base64([1, -2])) == [1.0, -2.0]
    with pytest.raises(TypeError):
        pack_base64(["1"])  # type: ignore[list-item]


def test_match_encoding() -> None:
    answer = {"data": [{"embedding": [0.5]}, {"embedding": "AAAAPw=="}]}
    assert match_encoding(answer, "base64")
    assert answer == {"data": [{"embedding": "AAAAPw=="}, {"embedding": "AAAAPw=="}]}
    assert not match_encoding(answer, "base64")
    assert match_encoding(answer, "float")
    assert answer == {"data": [{"embedding": [0.5]}, {"embedding": [0.5]}]}
    assert not match_encoding(answer, "float")
