"""How much to think: ``reasoning_effort`` for each generation of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import Unsupported
from gateway.dialects.messages.models import Thinking, Traits

# reasoning_effort → (output_config.effort, tokens to think with)
_LEVELS: Mapping[str, tuple[str, int]] = {
    "minimal": ("low", 1024),
    "low": ("low", 2048),
    "medium": ("medium", 8192),
    "high": ("high", 16384),
    "xhigh": ("xhigh", 24576),
    "max": ("max", 24576),
}
_LEAST_BUDGET = 1024


def think(payload: dict[str, Any], effort: object, traits: Traits, *, room: int, settled: bool) -> bool:
    """Add what ``reasoning_effort`` stands for to ``payload``, whose other parts are complete by now.

    A budget is counted against ``max_tokens``, which is raised by it up to ``room``. ``settled``: the
    answer in progress began without thinking. Returns whether the wish could be met. Raises `Unsupported`.
    """
    if effort == "none":
        return _think_not(payload, traits)
    level = _LEVELS.get(effort) if isinstance(effort, str) else None
    if level is None:
        raise Unsupported("reasoning_effort", f"must be none or one of {', '.join(_LEVELS)}")
    if traits.thinking is Thinking.NONE:
        return False
    if traits.thinking is Thinking.BUDGET:
        # "Thinking may not be enabled when tool_choice forces tool use."
        forced = payload.get("tool_choice", {}).get("type") in ("any", "tool")
        return not settled and not forced and _give_budget(payload, level[1], room)
    payload["thinking"] = {"type": "adaptive"}
    if traits.summaries:
        payload["thinking"]["display"] = "summarized"
    word = level[0] if traits.xhigh or level[0] not in ("xhigh", "max") else "high"
    payload.setdefault("output_config", {})["effort"] = word
    return True


def think_as_told(payload: dict[str, Any], thinking: Mapping[str, Any], *, room: int, asked: object) -> None:
    """Add the client's own ``thinking`` to ``payload``. ``max_tokens`` is raised by its budget up to ``room``
    where the client ``asked`` for no limit, and the budget fits the limit unless that is the client's own.
    Raises `Unsupported`."""
    payload["thinking"] = thinking
    budget = thinking.get("budget_tokens")
    if asked is None and isinstance(budget, int):
        payload["max_tokens"] = min(payload["max_tokens"] + budget, room)
    if payload["max_tokens"] != asked:
        payload["thinking"] = fitted(thinking, payload["max_tokens"])


def fitted(thinking: Mapping[str, Any], limit: int) -> Mapping[str, Any]:
    """The same with a budget below ``limit``. Raises `Unsupported` where the least one would not fit."""
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int) or budget < limit:
        return thinking
    budget = limit * 3 // 4  # the rest is for the answer
    if budget < _LEAST_BUDGET:
        raise Unsupported("thinking", "the operator's limit on the output leaves no room for it")
    return {**thinking, "budget_tokens": budget}


def _think_not(payload: dict[str, Any], traits: Traits) -> bool:
    if traits.thinking is Thinking.ALWAYS:
        payload.setdefault("output_config", {})["effort"] = "low"
        return False
    if traits.thinking is Thinking.ADAPTIVE:
        payload["thinking"] = {"type": "disabled"}
    return True


def _give_budget(payload: dict[str, Any], wanted: int, room: int) -> bool:
    most = min(payload["max_tokens"] + wanted, room)
    budget = min(wanted, most * 3 // 4)  # the rest is for the answer
    if budget < _LEAST_BUDGET:
        return False
    payload["max_tokens"] = most
    payload["thinking"] = {"type": "enabled", "budget_tokens": budget}
    return True
