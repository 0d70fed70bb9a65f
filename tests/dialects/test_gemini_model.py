"""Model names: generation and path."""

import pytest

from gateway.dialects.gemini_model import LATEST, generation, path


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemini-2.5-pro", 2.5),
        ("models/gemini-2.0-flash-001", 2.0),
        ("gemini-3-pro-preview", 3.0),
        ("gemini-3.1-flash-lite", 3.1),
        ("gemini-flash-latest", LATEST),
        ("gemini-nan", LATEST),
        ("gemma-3-27b-it", 0.0),
        ("gemini", LATEST),
    ],
)
def test_generation(model: str, expected: float) -> None:
    assert generation(model) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("models/gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("tunedModels/mine-1", "tunedModels/mine-1"),
        ("../../x", "models/..%2F..%2Fx"),
        ("models/../x", "models/..%2Fx"),
        ("a?b#c", "models/a%3Fb%23c"),
        ("a/b%2f..", "models/a%2Fb%252f.."),
        ("models", "models/models"),
        ("a:generateContent?key=1", "models/a%3AgenerateContent%3Fkey%3D1"),
        ("a\r\nx: y", "models/a%0D%0Ax%3A%20y"),
    ],
)
def test_a_name_stays_one_segment(model: str, expected: str) -> None:
    assert path(model) == expected
