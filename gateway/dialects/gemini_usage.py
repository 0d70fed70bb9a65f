"""Gemini's ``usageMetadata`` in disjoint classes, and those in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import Usage
from gateway.dialects.count import count


def read_usage(metadata: Any) -> Usage | None:
    """The figures of ``usageMetadata``; None if the input is not given or cannot be true. Where another
    cannot, the rest counts as an estimate.

    ``promptTokenCount`` includes what came from the cache; ``candidatesTokenCount`` excludes thoughts.
    """
    if not isinstance(metadata, dict) or metadata.get("promptTokenCount") is None:
        return None
    prompt = _count(metadata, "promptTokenCount")
    tools = _count(metadata, "toolUsePromptTokenCount")
    cached = _count(metadata, "cachedContentTokenCount")
    output = _count(metadata, "candidatesTokenCount")
    reasoning = _count(metadata, "thoughtsTokenCount")
    if prompt is None:
        return None
    total = prompt + (tools or 0)
    cached = min(cached or 0, total)
    uncached = total - cached
    audio = _audio(metadata.get("promptTokensDetails")) - _audio(metadata.get("cacheTokensDetails"))
    audio = min(max(audio, 0), uncached)
    return Usage(
        input=uncached - audio,
        cache_read=cached,
        audio_input=audio,
        output=output or 0,
        reasoning=reasoning or 0,
        estimated=tools is None or output is None or reasoning is None,
    )


def usage_value(usage: Usage | None) -> dict[str, Any]:
    """OpenAI's ``usage`` of a chat; zeros where nothing is known."""
    usage = usage or Usage()
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "audio_tokens": usage.audio_input},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
    }


def _count(metadata: Mapping[str, Any], name: str) -> int | None:
    """A count; a missing one is zero, an impossible one None."""
    value = metadata.get(name)
    return 0 if value is None else count(value)


def _audio(details: Any) -> int:
    if not isinstance(details, list):
        return 0
    return sum(
        _count(detail, "tokenCount") or 0
        for detail in details
        if isinstance(detail, dict) and detail.get("modality") == "AUDIO"
    )
