"""State by name stays bounded."""

from __future__ import annotations

from gateway.routing.bounded import Bounded


def test_makes_what_is_missing_and_keeps_it() -> None:
    items: Bounded[list[int]] = Bounded(list)
    items["a"].append(1)
    assert items["a"] == [1]
    assert items.get("b") is None


def test_what_was_used_longest_ago_goes() -> None:
    items: Bounded[list[int]] = Bounded(list, most=2)
    for name in "aba":
        items[name].append(1)
    items["c"].append(1)
    assert (items.get("a"), items.get("b"), len(items)) == ([1, 1], None, 2)
