"""Sampling, as far as each generation takes it."""

from __future__ import annotations

import pytest

from gateway.dialects.messages.request import Target, from_chat

USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("model", "version", "asked", "sent", "dropped"),
    [
        ("claude-3-5-sonnet-20241022", "2023-06-01", (1.7, 0.5), (1, 0.5), ("temperature",)),
        ("claude-sonnet-4-5", "2023-06-01", (0.5, 0.5), (0.5, None), ("top_p",)),
        ("claude-sonnet-4-6", "2023-06-01", (1, 0.5), (None, 0.5), ()),
        ("claude-sonnet-4-5", "2026-10-21", (0.5, None), (None, None), ("temperature",)),
        ("claude-opus-4-7", "2023-06-01", (1.5, 1), (None, None), ("temperature",)),
        ("claude-opus-4-7", "2023-06-01", (1, 1), (None, None), ()),
    ],
)
def test_sampling(
    model: str,
    version: str,
    asked: tuple[float | None, ...],
    sent: tuple[float | None, ...],
    dropped: tuple[str, ...],
) -> None:
    body = {"messages": [USER], "temperature": asked[0], "top_p": asked[1]}
    payload, names = from_chat(body, Target(model, version, 4096))
    assert (payload.get("temperature"), payload.get("top_p")) == sent
    assert names == dropped


def test_while_it_thinks_a_model_takes_a_high_top_p_only() -> None:
    target = Target("claude-sonnet-4-5", "2023-06-01", 4096)
    body = {"messages": [USER], "reasoning_effort": "low", "temperature": 0.5, "top_k": 1, "top_p": 0.96}
    payload, dropped = from_chat(body, target)
    assert payload["top_p"] == 0.96 and dropped == ("temperature", "top_k")
    assert from_chat({**body, "top_p": 0.5}, target)[1] == ("temperature", "top_p", "top_k")
