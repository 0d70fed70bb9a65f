"""Figures as pages show them: exact where it is money, with a unit always, and harmless whatever they are."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.admin.pages import figures


@pytest.mark.parametrize(
    ("filter", "value", "text"),
    [
        (figures.usd, 0, "$0.00"),
        (figures.usd, 1, "$0.000000001"),
        (figures.usd, 1_234_500_000_000, "$1,234.50"),
        (figures.usd, -10_000_000, "-$0.01"),
        (figures.usd, 10**18 + 1, "$1,000,000,000.000000001"),
        (figures.usd_short, 28_358_800, "$0.0284"),
        (figures.usd_short, 1_234_567_000_000, "$1,234.57"),
        (figures.usd_short, 0, "$0.00"),
        (figures.usd_short, 22_900, "$0.0000229"),
        (figures.usd_short, 1_600, "$0.0000016"),
        (figures.usd_short, 72_000.4, "$0.000072"),
        (figures.usd_short, 1, "$0.000000001"),
        (figures.count, 1234567, "1,234,567"),
        (figures.ms, 0.25, "0.25 ms"),
        (figures.ms, 9.5, "9.5 ms"),
        (figures.ms, 842.4, "842 ms"),
        (figures.ms, 999.7, "1.00 s"),
        (figures.ms, 1240, "1.24 s"),
        (figures.ms, 65_000, "1 min 5 s"),
        (figures.duration, 0, "0 s"),
        (figures.duration, 59.7, "60 s"),
        (figures.duration, 3600, "1 h"),
        (figures.duration, 7320, "2 h 2 min"),
        (figures.duration, 90000, "1 d 1 h"),
        (figures.share, 0, "0 %"),
        (figures.share, 0.0314, "3.1 %"),
        (figures.share, 0.5, "50 %"),
        (figures.rate, 0.4, "0.4/min"),
        (figures.rate, 1234, "1,234/min"),
    ],
)
def test_every_figure_has_its_unit(filter: Callable[[Any], str], value: float, text: str) -> None:
    assert filter(value) == text


@pytest.mark.parametrize("filter", [filter for filter in figures.FILTERS.values() if filter not in (
    figures.name, figures.errors_share, figures.first_token)])  # fmt: skip
def test_what_is_unknown_is_a_dash(filter: Callable[[Any], str]) -> None:
    assert filter(None) == "–"


@pytest.mark.parametrize("when", [1764435672.5, "2025-11-29T17:01:12.500Z", "2025-11-29T18:01:12.500+01:00"])
def test_a_moment_is_in_utc(when: float | str) -> None:
    assert figures.moment(when) == (
        '<time datetime="2025-11-29T17:01:12.500000+00:00" title="2025-11-29 17:01:12 UTC">'
        "2025-11-29 17:01:12 UTC</time>"
    )


def test_how_long_ago() -> None:
    assert figures.ago(time.time() - 120) == "2 min ago"
    assert figures.ago(time.time() + 5) == "0 s ago"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gpt-4o", "gpt-4o"),
        ("a\r\nb\x1b[31m", "a\\u000d\\u000ab\\u001b[31m"),
        ("evil\u202egnp.exe", "evil\\u202egnp.exe"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("half \ud800", "half \\ud800"),
        ("מודל", "מודל"),
        ("x" * 5000, "x" * 119 + "…"),
    ],
)
def test_a_name_hides_nothing(text: str, shown: str) -> None:
    assert figures.name(text) == shown
