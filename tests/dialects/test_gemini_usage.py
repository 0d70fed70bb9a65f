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
        {"promptTokenCount": 2.0},
        {"promptTokenCount": 10**9 + 1},
        {"promptTokenCount": 3, "candidatesTokenCount": -1},
        {"promptTokenCount": 3, "cachedContentTokenCount": 4},
    ],
)
def test_what_cannot_be_true_is_unknown(metadata: Any) -> None:
    assert read_usage(metadata) is None
