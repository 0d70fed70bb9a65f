"""Waiting as long as an upstream asks, and never longer or on nonsense."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.retry_after import MAX_WAIT, duration, retry_after

NOW = 1_800_000_000.0
SOON = datetime.fromtimestamp(NOW + 42, UTC)


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 7 "}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "100000000000"}, MAX_WAIT),
        ({"retry-after": formatdate(NOW + 42, usegmt=True)}, 42),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:42 -0000"}, 42),
        ({"retry-after": formatdate(NOW - 42, usegmt=True)}, 0),
        ({"retry-after": formatdate(NOW + 1e6, usegmt=True)}, MAX_WAIT),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "\u0663"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Fri, 15 Jan 99999999999999 08:00:42 GMT"}, None),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:42 GMT" + " " * 9000 + "x"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], wait: float | None) -> None:
    assert retry_after(headers) == wait


@pytest.mark.parametrize(
    ("reset", "wait"),
    [
        ("12", 12),
        ("1s", 1),
        ("6m0s", MAX_WAIT),
        ("2m0.5s", 120.5),
        ("12ms", 0.012),
        ("1h", MAX_WAIT),
        (SOON.isoformat(), 42),
        (SOON.strftime("%Y-%m-%dT%H:%M:%SZ"), 42),
        (SOON.replace(tzinfo=None).isoformat(), None),
        (str(int(NOW + 42)), 42),
        (str(int(NOW + 42) * 1000), 42),
        ("-1", None),
        ("later", None),
    ],
)
def test_the_reset_of_an_empty_window(reset: str, wait: float | None) -> None:
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": reset}
    assert retry_after(headers) == wait


def test_only_empty_windows_make_us_wait_and_the_longest_wins() -> None:
    assert (
        retry_after(
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1s",
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": SOON.isoformat(),
                "x-ratelimit-remaining-tokens": "3",
                "x-ratelimit-reset-tokens": "100s",
                "x-ratelimit-reset-project": "200s",
            }
        )
        == 42
    )


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "5s ", "5x", "1.s", "5s5", "9" * 5000 + "s"])
def test_no_durations(text: str) -> None:
    assert duration(text) is None


@given(st.text(alphabet="0123456789.-+hms :,TZWJanFriGMT\u0663\0()", max_size=80))
def test_any_value_gives_a_sane_wait_or_none(text: str) -> None:
    for headers in (
        {"retry-after": text},
        {"retry-after-ms": text},
        {"ratelimit-remaining": "0", "ratelimit-reset": text},
    ):
        wait = retry_after(headers)
        assert wait is None or 0 <= wait <= MAX_WAIT
