"""Token counts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Usage
from gateway.dialects.messages.usage import chat_usage, read_usage

_counts = st.integers(0, 10**6)


@given(_counts, _counts, _counts, _counts, _counts)
def test_no_token_is_lost_or_counted_twice(
    uncached: int, written: int, cached: int, output: int, thought: int
) -> None:
    usage = read_usage(
        {
            "input_tokens": uncached,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": cached,
            "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": thought},
        }
    )
    assert usage is not None
    assert usage.prompt == uncached + written + cached
    assert usage.completion == output and usage.output >= 0
    assert chat_usage(usage)["total_tokens"] == usage.total


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "12",
        {},
        {"input_tokens": -1, "output_tokens": 2},
        {"input_tokens": 10**9 + 1, "output_tokens": 1},
        {"input_tokens": True, "output_tokens": 2},
    ],
)
def test_no_figures(raw: Any) -> None:
    assert read_usage(raw) is None


@pytest.mark.parametrize("odd", ["2", -1, None, 1.5, 10**9 + 1])
def test_one_odd_figure_costs_the_others_nothing(odd: object) -> None:
    figures = {"input_tokens": 5000.0, "cache_read_input_tokens": 7, "output_tokens": 2}
    assert read_usage({**figures, "output_tokens": odd}) == Usage(5000, 7, estimated=True)
    usage = read_usage({**figures, "cache_read_input_tokens": odd})
    assert usage == Usage(5000, output=2, estimated=odd is not None)
    assert read_usage({**figures, "output_tokens_details": {"thinking_tokens": odd}}) == Usage(
        5000, 7, output=2
    )


@pytest.mark.parametrize(
    ("creation", "hour"),
    [
        ({"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}, 20),
        ({"ephemeral_1h_input_tokens": 50}, 30),  # no more than was written
        ({"ephemeral_1h_input_tokens": "many"}, 0),
        ({"ephemeral_1h_input_tokens": None}, 0),
        ([], 0),
        (None, 0),
    ],
)
def test_what_is_kept_for_an_hour(creation: Any, hour: int) -> None:
    written = {"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 30}
    usage = read_usage({**written, "cache_creation": creation})
    assert usage is not None
    assert (usage.cache_write, usage.cache_write_1h, usage.prompt) == (30, hour, 31)


def test_absent_classes_are_zero() -> None:
    usage = read_usage({"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": None})
    assert usage is not None and usage.total == 3
