"""Token figures."""

from typing import Any

import pytest

from gateway.api import Usage
from gateway.dialects.gemini_usage import read_usage, usage_value


def test_classes_are_disjoint() -> None:
    metadata = {
        "promptTokenCount": 120,
        "toolUsePromptTokenCount": 6,
        "cachedContentTokenCount": 100,
        "candidatesTokenCount": 4,
        "thoughtsTokenCount": 30,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 10}, 5, {"modality": "TEXT"}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}],
    }
    usage = read_usage(metadata)
    assert usage == Usage(input=18, cache_read=100, audio_input=8, output=4, reasoning=30)
    assert usage_value(usage) == {
        "prompt_tokens": 126,
        "completion_tokens": 34,
        "total_tokens": 160,
        "prompt_tokens_details": {"cached_tokens": 100, "audio_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 0},
    }


def test_a_missing_count_is_zero() -> None:
    assert read_usage({"promptTokenCount": 3}) == Usage(input=3)
    assert usage_value(None)["total_tokens"] == 0


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        [],
        {},
        {"totalTokenCount": 5},
        {"promptTokenCount": "3"},
        {"promptTokenCount": -1},
        {"promptTokenCount": True},
        {"promptTokenCount": 2.5},
        {"promptTokenCount": None, "candidatesTokenCount": 5},
        {"promptTokenCount": 10**9 + 1},
    ],
)
def test_what_cannot_be_true_is_unknown(metadata: Any) -> None:
    assert read_usage(metadata) is None


@pytest.mark.parametrize(
    ("more", "usage"),
    [
        ({"cachedContentTokenCount": 4}, Usage(cache_read=3)),
        ({"toolUsePromptTokenCount": 2, "cachedContentTokenCount": 4}, Usage(input=1, cache_read=4)),
        ({"cachedContentTokenCount": -1}, Usage(input=3)),
        ({"candidatesTokenCount": None}, Usage(input=3)),
        ({"candidatesTokenCount": -1}, Usage(input=3, estimated=True)),
        ({"candidatesTokenCount": 4.0, "thoughtsTokenCount": "9"}, Usage(input=3, output=4, estimated=True)),
        ({"toolUsePromptTokenCount": 1.5}, Usage(input=3, estimated=True)),
    ],
)
def test_one_odd_figure_costs_the_others_nothing(more: dict[str, Any], usage: Usage) -> None:
    assert read_usage({"promptTokenCount": 3.0, **more}) == usage
