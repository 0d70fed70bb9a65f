"""What an upstream announced is kept until it announces something else."""

from __future__ import annotations

import time

import pytest

from gateway.dialects.headroom import ANTHROPIC, OPENAI
from gateway.routing.headroom import Headroom


def test_the_newest_words_are_kept_and_an_answer_without_any_takes_nothing_away() -> None:
    headroom = Headroom()
    assert headroom.newest(time.monotonic()) is None
    headroom.hear(OPENAI, {"x-ratelimit-remaining-requests": "7"})
    headroom.hear(OPENAI, {"content-type": "text/html"})
    said = headroom.newest(time.monotonic() + 5)
    assert said is not None and said.windows["requests"].remaining == 7
    assert 5 <= said.seconds_ago < 65
    headroom.hear(ANTHROPIC, {"anthropic-ratelimit-tokens-remaining": "3"})
    said = headroom.newest(time.monotonic())
    assert said is not None and list(said.windows) == ["tokens"]


def test_nonsense_is_nothing() -> None:
    headroom = Headroom()
    headroom.hear(OPENAI, {"x-ratelimit-remaining-requests": "many"})
    assert headroom.newest(time.monotonic()) is None


def said_now(headers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Headroom:
    """At second 1000."""
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    headroom = Headroom()
    headroom.hear(OPENAI, {f"x-ratelimit-{name}": value for name, value in headers.items()})
    return headroom


def test_the_fullest_window_empties_evenly_until_its_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = {"limit-requests": "100", "remaining-requests": "20", "reset-requests": "40s"}
    tokens = {"limit-tokens": "1000", "remaining-tokens": "500", "reset-tokens": "100s"}
    headroom = said_now({**requests, **tokens}, monkeypatch)
    used = [headroom.used(1000.0 + seconds) for seconds in (0, 10, 40, 90, 100)]
    assert used == pytest.approx([0.8, 0.6, 0.3, 0.05, 0.0])


def test_newer_words_replace_what_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    headroom = said_now({"limit-requests": "10", "remaining-requests": "1"}, monkeypatch)
    assert headroom.used(1000.0) == pytest.approx(0.9)
    headroom.hear(OPENAI, {"x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "10"})
    assert headroom.used(1000.0) == 0.0


@pytest.mark.parametrize(
    ("headers", "used"),
    [
        ({}, 0.0),
        ({"remaining-requests": "0"}, 0.5),  # half a minute, where no reset is named, has passed
        ({"remaining-requests": "5"}, 0.0),
        ({"limit-requests": "0", "remaining-requests": "0"}, 0.5),
        ({"limit-requests": "10"}, 0.0),
        ({"remaining-requests": "0", "reset-requests": "0s"}, 0.0),
    ],
)
def test_what_is_not_said(headers: dict[str, str], used: float, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said_now(headers, monkeypatch).used(1030.0) == pytest.approx(used)
