"""What becomes of each parameter of a Messages request on its way to a chat: the one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.dialects.messages.parameters import Fate, unused

_FATES: Mapping[str, Fate] = {
    "max_tokens": Fate.TRANSLATED,
    "messages": Fate.TRANSLATED,
    "metadata": Fate.TRANSLATED,
    "model": Fate.TRANSLATED,
    "output_config": Fate.TRANSLATED,
    "output_format": Fate.TRANSLATED,
    "service_tier": Fate.TRANSLATED,
    "stop_sequences": Fate.TRANSLATED,
    "stream": Fate.TRANSLATED,
    "system": Fate.TRANSLATED,
    "temperature": Fate.TRANSLATED,
    "thinking": Fate.TRANSLATED,
    "tool_choice": Fate.TRANSLATED,
    "tools": Fate.TRANSLATED,
    "top_k": Fate.TRANSLATED,
    "top_p": Fate.TRANSLATED,
    "cache_control": Fate.DROPPED,
    "context_management": Fate.DROPPED,
    "diagnostics": Fate.DROPPED,
    "speed": Fate.DROPPED,
    "container": Fate.REFUSED,
    "inference_geo": Fate.REFUSED,
    "mcp_servers": Fate.REFUSED,
}
_NEUTRAL: Mapping[str, object] = {
    "inference_geo": "global",
    "mcp_servers": [],
    "speed": "standard",
}
NAMES: Mapping[str, str] = {
    "max_completion_tokens": "max_tokens",
    "parallel_tool_calls": "tool_choice",
    "reasoning_effort": "thinking",
    "response_format": "output_config",
    "stop": "stop_sequences",
    "user": "metadata",
}
"""What a parameter of the chat is called in the request it was made of."""


def without_equivalent(body: Mapping[str, Any]) -> dict[str, None]:
    """The parameters that are left out, in their order. Raises `Unsupported` for one that cannot be."""
    return unused(body, _FATES, _NEUTRAL, "only Anthropic has it")
