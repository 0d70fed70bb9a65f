"""Token counts: Anthropic's figures into our disjoint classes, and those into OpenAI's usage object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import Usage
from gateway.dialects.count import count


def read_usage(raw: object) -> Usage | None:
    """The figures of a Messages ``usage`` object; None if the input is missing or makes no sense. Where
    another does, the rest counts as an estimate.

    Anthropic's ``input_tokens`` leave the cache out, ``output_tokens`` include thinking. ``cache_creation``
    tells for how long what was written to the cache is kept.
    """
    if not isinstance(raw, Mapping):
        return None
    details, kept = raw.get("output_tokens_details"), raw.get("cache_creation")
    output = count(raw.get("output_tokens"))
    uncached = count(raw.get("input_tokens"))
    cache_read = count(raw.get("cache_read_input_tokens") or 0)
    cache_write = count(raw.get("cache_creation_input_tokens") or 0)
    hour = count((kept.get("ephemeral_1h_input_tokens") if isinstance(kept, Mapping) else 0) or 0) or 0
    thought = count((details.get("thinking_tokens") if isinstance(details, Mapping) else 0) or 0) or 0
    if uncached is None:
        return None
    reasoning = min(thought, output or 0)
    return Usage(
        input=uncached,
        cache_read=cache_read or 0,
        cache_write=cache_write or 0,
        cache_write_1h=min(hour, cache_write or 0),
        output=(output or 0) - reasoning,
        reasoning=reasoning,
        estimated=output is None or cache_read is None or cache_write is None,
    )


def begun_usage(raw: Mapping[str, Any]) -> Usage | None:
    """As `read_usage`, of a stream that has only begun: its input, and no output yet, which is left to an
    estimate should no more be heard."""
    usage = read_usage({**raw, "output_tokens": 0})
    if usage is not None:
        usage.estimated = True
    return usage


def chat_usage(usage: Usage) -> dict[str, Any]:
    """OpenAI's ``usage``: its prompt tokens include the cache, its completion tokens the reasoning."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
