"""Legacy completions for providers that only chat: requests there, answers back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import Unsupported

_DROPPED = frozenset({"prompt", "best_of", "echo", "suffix", "logprobs"})
_FINISHES = frozenset({"stop", "length", "content_filter"})


def to_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The chat request that asks for the same: one user message, all other parameters as they are.

    Raises `Unsupported` for what a chat cannot do: several prompts, token ids, ``echo``, ``suffix``,
    ``logprobs``, and ``best_of`` above ``n``.
    """
    asked = {
        "echo": bool(body.get("echo")),
        "suffix": bool(body.get("suffix")),
        "logprobs": body.get("logprobs") is not None,
        "best_of": (body.get("best_of") or 1) > (body.get("n") or 1),
    }
    for name, needed in asked.items():
        if needed:
            raise Unsupported(name, "has no equivalent in a chat")
    chat = {name: value for name, value in body.items() if name not in _DROPPED}
    return {**chat, "messages": [{"role": "user", "content": _prompt(body.get("prompt"))}]}


def from_chat(value: Mapping[str, Any]) -> dict[str, Any]:
    """A chat completion, or a chunk of one, as a ``text_completion``."""
    return {
        **value,
        "id": f"cmpl-{str(value.get('id', '')).removeprefix('chatcmpl-')}",
        "object": "text_completion",
        "choices": [_choice(choice) for choice in value.get("choices", ())],
    }


def _prompt(prompt: object) -> str:
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise Unsupported("prompt", "a chat takes one text, not several and no token ids")
    return prompt


def _choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    message = choice.get("message") or choice.get("delta") or {}
    reason = choice.get("finish_reason")
    return {
        "text": message.get("content") or message.get("refusal") or "",
        "index": choice.get("index", 0),
        "logprobs": None,
        "finish_reason": reason if reason is None or reason in _FINISHES else "stop",
    }
