"""Thought signatures survive the way through a client."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.gemini_signature import bare_id, carried, extra_content, pack, unpack


@given(st.text(st.characters(codec="ascii"), max_size=20), st.text(min_size=1, max_size=60))
def test_an_id_gives_back_what_was_packed(call_id: str, signature: str) -> None:
    packed = pack(call_id, signature, "gemini-3-pro")
    assert unpack(packed, "gemini-3-pro") == unpack(packed, "models/gemini-3-pro") == (call_id, signature)
    assert unpack(packed, "gemini-3-flash") == (call_id, None)
    assert bare_id(packed) == call_id


def test_a_packed_id_has_only_characters_that_every_provider_takes() -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", pack("call_1", "Ep+/8==", "gemini-3-pro"))


@pytest.mark.parametrize(
    "foreign",
    ["", "call_abc", "toolu_01__x", "a__thought__12345678é", "a__thought__12345678", "a__thought__123456789"],
)
def test_foreign_ids_stay_as_they_are(foreign: str) -> None:
    assert unpack(foreign, "gemini-3-pro") == (foreign, None)
    assert bare_id(foreign) == foreign


def test_a_holder_carries_its_signature() -> None:
    assert carried({"extra_content": extra_content("s")}) == "s"


@pytest.mark.parametrize("extra", [None, 1, {}, {"google": 1}, {"google": {"thought_signature": 5}}])
def test_anything_else_carries_none(extra: object) -> None:
    assert carried({"extra_content": extra}) is None
