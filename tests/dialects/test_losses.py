"""Fields that a translation does not know."""

from __future__ import annotations

import pytest

from gateway.dialects.losses import is_plain, lost

KNOWN = frozenset({"text"})


def test_what_is_known_is_no_loss() -> None:
    assert lost({"text": "a"}, KNOWN, "messages") == ()


@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_nothing_is_no_loss(value: object) -> None:
    assert lost({"text": "a", "weight": value}, KNOWN, "messages") == []


def test_a_loss_is_named_with_its_place() -> None:
    assert lost({"text": "a", "weight": 5, "phase": "final"}, KNOWN, "messages") == [
        "messages.weight",
        "messages.phase",
    ]


@pytest.mark.parametrize("name", ["a\r\nx: y", "a,b", "é", "a" * 41, ""])
def test_a_name_that_is_none_is_not_repeated(name: str) -> None:
    assert not is_plain(name, 40)
    assert lost({name: 1}, KNOWN, "messages") == ["messages"]
