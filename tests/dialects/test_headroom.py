"""Reading what upstreams announce of their own limits."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.headroom import ANTHROPIC, LONGEST, OPENAI, Announced, Window, windows

NOW = 1_800_000_000.0
SOON = datetime.fromtimestamp(NOW + 42, UTC)


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)


def read(announced: Announced, headers: dict[str, str], age: float = 0.0) -> dict[str, Window]:
    return windows(announced, [headers.get(name) for name in announced], age)


def test_openai() -> None:
    headers = {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-tokens": "1999000",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert read(OPENAI, headers) == {
        "requests": Window(10_000, 9_999, 0.006),
        "tokens": Window(2_000_000, 1_999_000, 360.0),
    }
    assert read(OPENAI, headers, age=100)["tokens"].reset == 260.0
    assert read(OPENAI, headers, age=1000)["tokens"].reset == 0.0
    assert read(ANTHROPIC, headers) == {}


def test_anthropic_names_the_moment() -> None:
    headers = {
        f"anthropic-ratelimit-{kind}-{figure}": value
        for kind in ("requests", "tokens", "input-tokens", "output-tokens")
        for figure, value in (
            ("limit", "4000"),
            ("remaining", "12"),
            ("reset", SOON.strftime("%Y-%m-%dT%H:%M:%SZ")),
        )
    }
    expected = Window(4000, 12, 42.0)
    kinds = ("requests", "tokens", "input_tokens", "output_tokens")
    assert read(ANTHROPIC, headers, age=10) == dict.fromkeys(kinds, expected)


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "window"),
    [
        ("100", "7", None, Window(100, 7, None)),
        (None, "7", None, Window(None, 7, None)),
        ("-1", "7", "soon", Window(None, 7, None)),
        (" 100 ", "0", "1h", Window(100, 0, 3600.0)),
        ("100", "7", "999999h", Window(100, 7, LONGEST)),
        ("-1", "-1", "6m0s", None),
        (None, None, "6m0s", None),
        ("9" * 4000, "1e9", "", None),
    ],
)
def test_what_is_missing_or_nonsense_is_not_said(
    limit: str | None, remaining: str | None, reset: str | None, window: Window | None
) -> None:
    assert windows(OPENAI, (limit, remaining, reset, None, None, None), 0).get("requests") == window


@given(st.lists(st.none() | st.text(max_size=80), min_size=6, max_size=6), st.floats(0, 1e9))
def test_any_words_give_sane_windows_or_none(words: list[str | None], age: float) -> None:
    for window in windows(OPENAI, words, age).values():
        assert window.limit is None or window.limit >= 0
        assert window.remaining is None or window.remaining >= 0
        assert window.reset is None or 0 <= window.reset <= LONGEST
