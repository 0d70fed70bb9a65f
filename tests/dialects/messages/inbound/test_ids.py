"""Ids of tool calls on their way to Anthropic's clients and back."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.messages.inbound.ids import from_client, to_client


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_id_comes_back(given_: str) -> None:
    shown = to_client(given_)
    assert re.fullmatch("[a-zA-Z0-9_-]+", shown)
    assert from_client(shown) == given_ or given_.startswith("toolu_coo_")


def test_plain_ids_stay() -> None:
    assert to_client("call_1-a") == "call_1-a"
    assert from_client("toolu_01A") == "toolu_01A"
    assert from_client("toolu_coo_~") == "toolu_coo_~"


def test_a_missing_id_is_made_up() -> None:
    assert to_client(None) != to_client("")
    assert to_client(None).startswith("toolu_")
