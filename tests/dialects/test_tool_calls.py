"""Whose piece it is: well-numbered calls, and those of servers that number them all 0, or not at all."""

from typing import Any

import pytest

from gateway.dialects.tool_calls import Calls


def piece(index: int | None = None, ident: str | None = None, name: str | None = None) -> dict[str, Any]:
    function = {"arguments": "{}"} if name is None else {"name": name, "arguments": ""}
    found: dict[str, Any] = {"function": function}
    return found | {key: value for key, value in (("index", index), ("id", ident)) if value is not None}


@pytest.mark.parametrize(
    ("pieces", "places"),
    [
        ([piece(0, "a", "f"), piece(0), piece(1, "b", "g"), piece(1), piece(0)], [0, 0, 1, 1, 0]),
        ([piece(3, "a", "f"), piece(1, "b", "f"), piece(3)], [0, 1, 0]),
        ([piece(0, "a", "f"), piece(0, "b", "g"), piece(0), piece(0, "a")], [0, 1, 1, 0]),
        ([piece(0, "a", "f"), piece(0, "b", "f"), piece(0, "a", "f"), piece(0)], [0, 1, 0, 0]),
        ([piece(0, "a", "f"), piece(0, "other"), piece(0, "another"), piece(0)], [0, 0, 0, 0]),
        ([piece(0, "same", "f"), piece(1, "same", "g"), piece(0, "same"), piece(1)], [0, 1, 0, 1]),
        ([piece(0, "a", "f"), piece(0, "", ""), piece(0, None, "f")], [0, 0, 0]),
        ([piece(None, "a", "f"), piece(), piece(None, "b", "g"), piece(), piece(None, "a")], [0, 0, 1, 1, 0]),
        ([piece(None, None, "f"), piece(), piece(None, None, "f"), piece()], [0, 0, 1, 1]),
        ([piece(0, "a", "f"), piece()], [0, 0]),
        ([piece()], [0]),
    ],
)
def test_the_call_of_each_piece(pieces: list[dict[str, Any]], places: list[int]) -> None:
    calls = Calls()
    assert [calls.place(one) for one in pieces] == places
    assert calls.count == max(places) + 1


def test_calls_of_custom_tools() -> None:
    calls = Calls()
    begun = [{"index": 0, "id": ident, "custom": {"name": "f", "input": ""}} for ident in "ab"]
    assert [calls.place(one) for one in begun] == [0, 1]
