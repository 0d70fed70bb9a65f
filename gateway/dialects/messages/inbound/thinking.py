"""How much to think: Anthropic's ``thinking`` and effort as ``reasoning_effort``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import Unsupported

_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_LEAST_MEDIUM = 4096
_LEAST_HIGH = 16384


def wants_thoughts(body: Mapping[str, Any]) -> bool:
    """Whether the client is to see what was thought: it asked for thinking, and not to leave its text out."""
    thinking = body.get("thinking")
    return (
        isinstance(thinking, dict)
        and thinking.get("type") != "disabled"
        and thinking.get("display") != "omitted"
    )


def effort_of(body: Mapping[str, Any]) -> str | None:
    """The ``reasoning_effort``; None for what the model does by itself. Raises `Unsupported`."""
    thinking, config = body.get("thinking") or {}, body.get("output_config") or {}
    if thinking.get("type") == "disabled":
        return None
    effort = config.get("effort")
    if effort is not None:
        if not isinstance(effort, str) or effort not in _EFFORTS:
            raise Unsupported("output_config", "effort must be low, medium, high, xhigh or max")
        return effort
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int):
        return "medium" if thinking else None
    return "low" if budget < _LEAST_MEDIUM else "medium" if budget < _LEAST_HIGH else "high"
