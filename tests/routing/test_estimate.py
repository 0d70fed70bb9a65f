"""Token estimates: cheap, not misled by base64, and learning."""

from __future__ import annotations

import base64

import pytest

from gateway.routing.estimate import (
    BLOCK,
    MEDIA_BYTES_PER_TOKEN,
    UNKNOWN_OUTPUT,
    OutputAverages,
    estimate_input,
    estimate_output,
    tokens_of_text,
)


def test_a_token_is_four_bytes_rounded_up() -> None:
    assert [tokens_of_text(length) for length in (0, 1, 4, 5)] == [0, 1, 1, 2]
    assert estimate_input(b"x" * 4000) == 1000


@pytest.mark.parametrize(
    "before", [b'{"url":"data:image/png;base64,', b'{"data": "', b'{"a":"' + b"x y " * 3000]
)
def test_base64_counts_far_less_than_text(before: bytes) -> None:
    media = base64.b64encode(bytes(range(256)) * 1200)
    body = before + media + b'"}'
    expected = len(before) / 4 + len(media) / MEDIA_BYTES_PER_TOKEN
    assert estimate_input(body) == pytest.approx(expected, abs=2 * BLOCK / 4)


def test_prose_and_code_are_text() -> None:
    for text in ("The quick brown fox jumps over the lazy dog. ", "def f(x): return {x: [1, 2]}; ", "日本語"):
        body = text.encode() * 3000
        assert estimate_input(body) == tokens_of_text(len(body))


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


def test_one_absurd_answer_is_soon_forgotten() -> None:
    averages = OutputAverages()
    averages.learn("m", 900_000_000)
    assert averages.of("m") < 2 * UNKNOWN_OUTPUT
    for _ in range(20):
        averages.learn("m", 100)
    assert averages.of("m") < UNKNOWN_OUTPUT
