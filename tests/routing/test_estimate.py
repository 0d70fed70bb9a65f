"""Token estimates: cheap, not misled by base64, and learning."""

from __future__ import annotations

import pytest

from gateway.routing.estimate import (
    MEDIA_TOKENS,
    UNKNOWN_OUTPUT,
    OutputAverages,
    estimate_input,
    estimate_output,
    tokens_of_text,
)


def test_a_token_is_four_bytes_rounded_up() -> None:
    assert [tokens_of_text(length) for length in (0, 1, 4, 5)] == [0, 1, 1, 2]
    assert estimate_input(b"x" * 4000) == 1000


@pytest.mark.parametrize("mark", [b'"url":"data:image/png;base64,', b'"data":"', b'"data": "'])
def test_media_counts_by_the_piece(mark: bytes) -> None:
    body = b"{" + mark + b"A" * 400_000 + b'"}'
    rest = tokens_of_text(len(mark) + 4)
    assert estimate_input(body) == pytest.approx(MEDIA_TOKENS + rest, abs=1)
    assert estimate_input(body * 3) == pytest.approx(3 * (MEDIA_TOKENS + rest), abs=3)


def test_short_or_unfinished_base64_is_text() -> None:
    short = b'{"data":"QUJD"}' + b" " * 2000
    unfinished = b'{"data":"' + b"A" * 4000
    assert estimate_input(short) == tokens_of_text(len(short))
    assert estimate_input(unfinished) == tokens_of_text(len(unfinished))


def test_output_is_what_is_usual_at_most_what_was_asked() -> None:
    assert estimate_output(None, 300.4) == 300
    assert estimate_output(100, 300.0) == 100
    assert estimate_output(5000, 300.0) == 300


def test_averages_are_learned_by_model() -> None:
    averages = OutputAverages()
    for _ in range(100):
        averages.learn("m", 1000)
    assert averages.of("m") == pytest.approx(1000, rel=0.01)
    assert averages.of("other") == UNKNOWN_OUTPUT
