"""The whole answer: a ``chat.completion`` of OpenAI's as a Message of Anthropic's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.api import Usage
from gateway.dialects.messages.inbound.ids import to_client

Block = dict[str, Any]

_STOPS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def stop_reason(finish_reason: object, *, called: bool, refused: bool) -> str:
    """``called``: tools were, which some servers only say by calling them; ``refused``: it says no."""
    reason = _STOPS.get(finish_reason, "end_turn") if isinstance(finish_reason, str) else "end_turn"
    if reason != "end_turn":
        return reason
    return "refusal" if refused else "tool_use" if called else reason


def head(value: Mapping[str, Any], content: list[Block], reason: str | None) -> dict[str, Any]:
    """A Message without its usage; ``value``: a completion, or a chunk of one."""
    ident = value.get("id")
    ident = ident if isinstance(ident, str) else ""
    return {
        "id": ident if ident.startswith("msg_") else f"msg_{ident.removeprefix('chatcmpl-')}",
        "type": "message",
        "role": "assistant",
        "model": value.get("model") or "",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
    }


def message_usage(usage: Usage) -> dict[str, Any]:
    """The figures as Anthropic writes them: its input tokens leave the cache out."""
    return {
        "input_tokens": usage.input + usage.audio_input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.completion,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    }


def from_chat(completion: Mapping[str, Any], *, thoughts: bool) -> dict[str, Any]:
    """The Message without its usage. ``thoughts``: the client wants to see them. Raises `LookupError`,
    `TypeError` or `AttributeError` if ``completion`` is none."""
    choice = completion["choices"][0]
    said = choice["message"]
    content = _thinking(said) if thoughts else []
    refusal = text_of(said.get("refusal"))
    content += [{"type": "text", "text": text} for text in (text_of(said.get("content")), refusal) if text]
    calls = [_tool_use(call) for call in said.get("tool_calls") or ()]
    reason = stop_reason(choice.get("finish_reason"), called=bool(calls), refused=bool(refusal))
    return head(completion, [*content, *calls], reason)


def tool_input(arguments: object) -> dict[str, Any] | orjson.Fragment:
    """Arguments, a text of the model's, as the object that a client expects: to be encoded by orjson, with
    all digits of its numbers. Raises `TypeError` for what is no text."""
    text = arguments_text(arguments)
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    return orjson.Fragment(text) if isinstance(value, dict) else raw_arguments(text)


def raw_arguments(text: str) -> dict[str, Any]:
    """Arguments that are no object."""
    return {"raw_arguments": text}


def arguments_text(arguments: object) -> str:
    """Arguments, or a piece of them, which may be missing. Raises `TypeError` for what is no text."""
    if arguments is not None and not isinstance(arguments, str):
        raise TypeError("arguments")
    return arguments or ""


def own_thinking(detail: object) -> bool:
    """Whether one of the ``reasoning_details`` is a block of Anthropic's, and not of another provider."""
    if not isinstance(detail, dict):
        return False
    kind = detail.get("type")
    return (kind == "thinking" and bool(detail.get("signature"))) or kind == "redacted_thinking"


def thought_in(message: Mapping[str, Any]) -> str:
    """What a message or delta says that was thought."""
    text = message.get("reasoning_content") or message.get("reasoning")
    return text if isinstance(text, str) else ""


def text_of(content: object) -> str:
    """The text of a message or delta, which some servers send in parts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    return content if isinstance(content, str) else ""


def _thinking(said: Mapping[str, Any]) -> list[Block]:
    blocks: list[Block] = [detail for detail in said.get("reasoning_details") or () if own_thinking(detail)]
    if blocks:
        return blocks
    text = thought_in(said)
    return [{"type": "thinking", "thinking": text, "signature": ""}] if text else []


def _tool_use(call: Mapping[str, Any]) -> Block:
    function = call["function"]
    return {
        "type": "tool_use",
        "id": to_client(call.get("id")),
        "name": function["name"],
        "input": tool_input(function.get("arguments")),
    }
