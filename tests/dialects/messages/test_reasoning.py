"""reasoning_effort for each generation."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Unsupported
from gateway.dialects.messages.request import Target, from_chat

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f"}}
SHOWN = {"type": "adaptive", "display": "summarized"}


def sent(model: str, effort: str, **body: Any) -> tuple[Any, Any, bool]:
    """thinking, effort, and whether the wish was dropped."""
    payload, dropped = from_chat(
        {"messages": [USER], "reasoning_effort": effort, **body}, Target(model, "2023-06-01", 4096)
    )
    return (
        payload.get("thinking"),
        payload.get("output_config", {}).get("effort"),
        "reasoning_effort" in dropped,
    )


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("claude-3-5-sonnet-20241022", "high", (None, None, True)),
        ("claude-3-5-sonnet-20241022", "none", (None, None, False)),
        ("claude-sonnet-4-5", "minimal", ({"type": "enabled", "budget_tokens": 1024}, None, False)),
        ("claude-sonnet-4-5", "none", (None, None, False)),
        ("claude-sonnet-4-6", "xhigh", ({"type": "adaptive"}, "high", False)),
        ("claude-sonnet-4-6", "none", ({"type": "disabled"}, None, False)),
        ("claude-opus-4-8", "minimal", (SHOWN, "low", False)),
        ("claude-opus-4-8", "xhigh", (SHOWN, "xhigh", False)),
        ("claude-opus-5-5", "max", (SHOWN, "max", False)),
        ("claude-opus-5-5", "none", (None, "low", True)),
    ],
)
def test_effort(model: str, effort: str, expected: tuple[Any, Any, bool]) -> None:
    assert sent(model, effort) == expected


def test_a_budget_leaves_room_for_the_answer() -> None:
    assert sent("claude-sonnet-4-5", "high", max_tokens=4000)[0]["budget_tokens"] == 3000
    assert sent("claude-sonnet-4-5", "high", max_tokens=1200) == (None, None, True)
    payload, _ = from_chat(
        {"messages": [USER], "reasoning_effort": "medium"}, Target("claude-sonnet-4-5", "2023-06-01", 4096)
    )
    assert payload["max_tokens"] == 4096 + 8192


def test_a_budget_goes_neither_with_a_forced_tool_nor_with_calls_made_without_it() -> None:
    assert sent("claude-sonnet-4-5", "high", tools=[TOOL], tool_choice="required") == (None, None, True)
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        USER,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ]
    assert sent("claude-sonnet-4-5", "high", tools=[TOOL], messages=messages) == (None, None, True)


def test_anthropics_own_parameter_wins() -> None:
    own = {"type": "enabled", "budget_tokens": 2000}
    assert sent("claude-sonnet-4-5", "high", thinking=own)[0] is own


@pytest.mark.parametrize(
    ("asked", "ceiling", "limit", "budget"),
    [
        (None, None, 14096, 10000),
        (None, 12000, 12000, 10000),
        (None, 8000, 8000, 6000),
        (20000, 8000, 8000, 6000),
        (20000, None, 20000, 10000),
        (5000, None, 5000, 10000),  # the client's own mistake, for Anthropic to tell
    ],
)
def test_a_budget_of_the_clients_own_fits_a_limit_that_is_not(
    asked: int | None, ceiling: int | None, limit: int, budget: int
) -> None:
    body = {"messages": [USER], "max_tokens": asked, "thinking": {"type": "enabled", "budget_tokens": 10000}}
    payload, _ = from_chat(body, Target("claude-sonnet-4-5", "2023-06-01", 4096, ceiling))
    assert (payload["max_tokens"], payload["thinking"]["budget_tokens"]) == (limit, budget)


def test_a_limit_without_room_for_a_budget() -> None:
    body = {"messages": [USER], "thinking": {"type": "enabled", "budget_tokens": 2000}}
    with pytest.raises(Unsupported) as refused:
        from_chat(body, Target("claude-sonnet-4-5", "2023-06-01", 4096, 1000))
    assert refused.value.param == "thinking"
