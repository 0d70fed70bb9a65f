"""What an upstream announced is kept until it announces something else."""

from __future__ import annotations

import time

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
