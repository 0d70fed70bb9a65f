"""What becomes of each parameter of a chat request on its way to Anthropic: the one table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from gateway.api import Unsupported


class Fate(Enum):
    """What happens to a parameter."""

    TRANSLATED = auto()
    DROPPED = auto()
    """Left out and named: the answer means the same without it."""
    REFUSED = auto()
    """Another provider has to answer: without it the answer would be a different one."""


FATES: Mapping[str, Fate] = {
    "cache_control": Fate.TRANSLATED,
    "max_completion_tokens": Fate.TRANSLATED,
    "max_tokens": Fate.TRANSLATED,
    "messages": Fate.TRANSLATED,
    "model": Fate.TRANSLATED,
    "parallel_tool_calls": Fate.TRANSLATED,
    "reasoning_effort": Fate.TRANSLATED,
    "response_format": Fate.TRANSLATED,
    "safety_identifier": Fate.TRANSLATED,
    "service_tier": Fate.TRANSLATED,
    "stop": Fate.TRANSLATED,
    "stream": Fate.TRANSLATED,
    "stream_options": Fate.TRANSLATED,
    "temperature": Fate.TRANSLATED,
    "thinking": Fate.TRANSLATED,
    "tool_choice": Fate.TRANSLATED,
    "tools": Fate.TRANSLATED,
    "top_k": Fate.TRANSLATED,
    "top_p": Fate.TRANSLATED,
    "user": Fate.TRANSLATED,
    "audio": Fate.DROPPED,
    "frequency_penalty": Fate.DROPPED,
    "logit_bias": Fate.DROPPED,
    "metadata": Fate.DROPPED,
    "prediction": Fate.DROPPED,
    "presence_penalty": Fate.DROPPED,
    "prompt_cache_key": Fate.DROPPED,
    "prompt_cache_options": Fate.DROPPED,
    "prompt_cache_retention": Fate.DROPPED,
    "seed": Fate.DROPPED,
    "store": Fate.DROPPED,
    "verbosity": Fate.DROPPED,
    "function_call": Fate.REFUSED,
    "functions": Fate.REFUSED,
    "logprobs": Fate.REFUSED,
    "modalities": Fate.REFUSED,
    "moderation": Fate.REFUSED,
    "n": Fate.REFUSED,
    "top_logprobs": Fate.REFUSED,
    "web_search_options": Fate.REFUSED,
}

NEUTRAL: Mapping[str, object] = {
    # With these values a parameter asks for what happens without it: nothing is lost.
    "frequency_penalty": 0,
    "function_call": "none",
    "functions": [],
    "logit_bias": {},
    "logprobs": False,
    "metadata": {},
    "modalities": ["text"],
    "n": 1,
    "presence_penalty": 0,
    "store": False,
    "top_logprobs": 0,
    "verbosity": "medium",
}


def unused(
    body: Mapping[str, Any],
    fates: Mapping[str, Fate] = FATES,
    neutral: Mapping[str, object] = NEUTRAL,
    reason: str = "Anthropic has no equivalent",
) -> dict[str, None]:
    """The parameters of ``body`` that are left out, in their order (a dict for its fast look-up).

    Raises `Unsupported`, with the reason, for the first that cannot be.
    """
    dropped: dict[str, None] = {}
    for name, value in body.items():
        fate = fates.get(name)
        if fate is Fate.TRANSLATED or value is None or (name in neutral and neutral[name] == value):
            continue
        if fate is Fate.REFUSED:
            raise Unsupported(name, reason)
        dropped[name] = None
    return dropped
