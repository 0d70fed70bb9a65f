"""Generations of models, told by their names."""

import pytest

from gateway.dialects.messages.models import Thinking, traits_of


@pytest.mark.parametrize(
    ("name", "thinking"),
    [
        ("claude-2.1", Thinking.NONE),
        ("claude-3-5-sonnet-20241022", Thinking.NONE),
        ("claude-3-opus-20240229", Thinking.NONE),
        ("claude-3-7-sonnet-latest", Thinking.BUDGET),
        ("claude-sonnet-4-20250514", Thinking.BUDGET),
        ("claude-haiku-4-5@20251001", Thinking.BUDGET),
        ("claude-sonnet-4-6", Thinking.ADAPTIVE),
        ("us.anthropic.claude-opus-4-8-v1:0", Thinking.ADAPTIVE),
        ("anthropic/claude-opus-4.7", Thinking.ADAPTIVE),
        ("claude-opus-5", Thinking.ADAPTIVE),
        ("claude-haiku-5-5", Thinking.ADAPTIVE),
        ("claude-opus-5-5", Thinking.ALWAYS),
        ("claude-fable-5-1", Thinking.ALWAYS),
        ("kimi-k2", Thinking.BUDGET),
    ],
)
def test_thinking(name: str, thinking: Thinking) -> None:
    assert traits_of(name).thinking is thinking


def test_generations() -> None:
    old, middle, new = (
        traits_of("claude-sonnet-4-20250514"),
        traits_of("claude-opus-4-6"),
        traits_of("claude-opus-4-8"),
    )
    assert [old.one_sampling, middle.one_sampling] == [False, True]
    assert [old.prefill, middle.prefill] == [True, False]
    assert [middle.sampling, new.sampling] == [True, False]
    assert [middle.system_turns, new.system_turns] == [False, True]
