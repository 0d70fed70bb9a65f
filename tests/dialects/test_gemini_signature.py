"""Thought signatures survive the way through a client."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.gemini_signature import carried, extra_content, pack, unpack


@given(st.text(st.characters(codec="ascii"), max_size=20), st.text(min_size=1, max_size=60))
def test_an_id_gives_back_what_was_packed(call_id: str, signature: str) -> None:
    assert unpack(pack(call_id, signature)) == (call_id, signature)


def test_a_packed_id_has_only_characters_that_every_provider_takes() -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", pack("call_1", "Ep+/8=="))


@pytest.mark.parametrize("foreign", ["", "call_abc", "toolu_01__x", "a__thought__é", "a__thought__b"])
def test_foreign_ids_stay_as_they_are(foreign: str) -> None:
    assert unpack(foreign) == (foreign, None)


def test_a_holder_carries_its_signature() -> None:
    assert carried({"extra_content": extra_content("s")}) == "s"


@pytest.mark.parametrize("extra", [None, 1, {}, {"google": 1}, {"google": {"thought_signature": 5}}])
def test_anything_else_carries_none(extra: object) -> None:
    assert carried({"extra_content": extra}) is None
