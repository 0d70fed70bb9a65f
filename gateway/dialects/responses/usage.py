"""Token figures of the Responses API: read into disjoint classes, and written back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import Usage
from gateway.dialects import chat_usage

_AS_CHAT: Mapping[str, str] = {
    "input_tokens": "prompt_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens": "completion_tokens",
    "output_tokens_details": "completion_tokens_details",
    "total_tokens": "total_tokens",
}


def parse_usage(value: object) -> Usage | None:
    """The ``usage`` of a response; None if it makes no sense. A chat's says the same with other names."""
    if not isinstance(value, dict):
        return None
    return chat_usage.parse_usage({chat: value[name] for name, chat in _AS_CHAT.items() if name in value})


def responses_usage(usage: Usage) -> dict[str, Any]:
    """The figures as the ``usage`` of a response."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
        },
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }
