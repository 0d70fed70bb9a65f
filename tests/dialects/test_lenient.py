"""What strict parsers refuse and clients read; and nothing else."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.lenient import Joiner, loads

GRIN = "\U0001f600"


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a":"x"}', {"a": "x"}),
        (rb'["a \ud83d b","c \ud83d"]', ["a \ufffd b", "c \ufffd"]),
        (rb'"\ude00\ud83d\ude00"', f"\ufffd{GRIN}"),
        (rb'{"\ud83d":[1,"\ude00 b"]}', {"\ufffd": [1, "\ufffd b"]}),
        (b"[1e400,-1e400]", [float("inf"), float("-inf")]),
    ],
)
def test_what_is_right_but_for_its_values_is_read(data: bytes, value: Any) -> None:
    assert loads(data) == value
    orjson.dumps(loads(data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[" * 900 + rb'"\ud83d"' + b"]" * 900,
        b"NaN",
        b"[Infinity]",
        b'"\xff"',
        b'"\xed\xa0\xbd"',
        b'"a\nb"',
        b"{}{}",
        b"[" * 200_000,
    ],
)
def test_what_is_no_json_is_not(data: bytes) -> None:
    for read in (loads, Joiner().loads):
        with pytest.raises(orjson.JSONDecodeError):
            read(data)


def delta(text: str, choice: int = 0) -> bytes:
    return b'{"choices":[{"index":%d,"delta":{"content":"%b"}}]}' % (choice, text.encode())


def contents(joiner: Joiner, *events: bytes) -> list[str]:
    return [joiner.loads(event)["choices"][0]["delta"]["content"] for event in events]


def test_halves_meet_in_the_next_piece_of_the_same_text() -> None:
    joiner = Joiner()
    assert contents(joiner, delta(r"a \ud83d"), delta(r"x\ud83d", 1), delta(r"\ude00 b"), delta("y", 1)) == [
        *("a ", "x"),
        f"{GRIN} b",
        "\ufffdy",
    ]


@given(st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"])), st.data())
def test_a_text_is_the_same_however_it_was_cut(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le")
    escaped = [rf"\u{int.from_bytes(units[at : at + 2], 'little'):04x}" for at in range(0, len(units), 2)]
    cut = data.draw(st.integers(0, len(escaped)))
    pieces = [delta("".join(escaped[:cut])), delta("".join(escaped[cut:]))]
    assert "".join(contents(Joiner(), *pieces)) == text
