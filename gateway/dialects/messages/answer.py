"""The whole answer: a Message of Anthropic's as a ``chat.completion`` of OpenAI's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from gateway.api import Chunk, Kind
from gateway.dialects import exact, lenient
from gateway.dialects.messages.errors import broken, in_band
from gateway.dialects.messages.usage import chat_usage, read_usage
from gateway.dialects.reading import WholeReading

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
_TOOL_USE = b'"tool_use"'
"""In answers with tool calls; their input is the one place where numbers of any kind may stand."""
_TIERS = {"standard": "default", "priority": "priority"}


def finish_reason(stop_reason: object) -> str:
    """OpenAI's ``finish_reason``, which knows no others than these; a reason not known yet is a stop."""
    return _FINISH.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"


def refusal_text(details: object) -> str | None:
    """Why the model refused, from ``stop_details``."""
    text = details.get("explanation") if isinstance(details, dict) else None
    return text if isinstance(text, str) and text else None


def head(message: Mapping[str, Any], kind: str, created: int) -> dict[str, Any]:
    """What a completion and all chunks of a stream begin with; ``kind`` is their ``object``."""
    result = {
        "id": _text(message, "id"),
        "object": kind,
        "created": created,
        "model": _text(message, "model"),
    }
    usage = message.get("usage")
    tier = usage.get("service_tier") if isinstance(usage, dict) else None
    if isinstance(tier, str) and tier in _TIERS:
        result["service_tier"] = _TIERS[tier]
    return result


def to_chat(message: Mapping[str, Any], created: int) -> dict[str, Any]:
    """The completion without ``usage``. Raises KeyError or TypeError if ``message`` is none.

    Thinking is given as ``reasoning_content``, for reading, and as ``reasoning_details``, the blocks as
    they came: a client that sends these back in its history keeps their signatures valid.
    """
    texts: list[str] = []
    thoughts: list[str] = []
    details: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for block in message["content"]:
        kind = block["type"]
        if kind == "text":
            texts.append(_text(block, "text"))
        elif kind == "tool_use":
            function = {"name": _text(block, "name"), "arguments": exact.dumps(block["input"])}
            calls.append({"id": _text(block, "id"), "type": "function", "function": function})
        elif kind == "thinking":
            thoughts.append(_text(block, "thinking"))
            details.append(block)
        elif kind == "redacted_thinking":
            details.append(block)
    text = "".join(texts)
    said: dict[str, Any] = {
        "role": "assistant",
        "content": text if text or not calls else None,
        "refusal": refusal_text(message.get("stop_details")),
    }
    if thought := "".join(thoughts):
        said["reasoning_content"] = thought
    if details:
        said["reasoning_details"] = details
    if calls:
        said["tool_calls"] = calls
    reason = finish_reason(message.get("stop_reason"))
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": reason}
    return {**head(message, "chat.completion", created), "choices": [choice]}


def produced(message: Mapping[str, Any]) -> int:
    """Characters of output in the message of a completion."""
    functions = [call["function"] for call in message.get("tool_calls", ())]
    return (
        len(message["content"] or "")
        + len(message.get("reasoning_content", ""))
        + sum(len(function["arguments"]) for function in functions)
    )


class WholeReader(WholeReading):
    """Reads an answer that is not streamed (see `gateway.api.Reader`)."""

    def _read(self, body: bytes) -> Chunk | None:
        if not body.lstrip().startswith(b"{"):
            # A page of something in between, not of the provider: nothing was billed.
            self.fault = broken(Kind.FAILED, "the provider's answer is not JSON")
            return None
        try:
            message = (exact if _TOOL_USE in body else lenient).loads(body)
            if message.get("error") is not None:
                self.fault = in_band(message)
                return None
            completion = to_chat(message, int(time.time()))
        except (KeyError, TypeError, ValueError):
            self.fault = broken(Kind.INVALID, "the provider's answer is not a complete message")
            return None
        self.usage = read_usage(message.get("usage"))
        if self.usage is not None:
            completion["usage"] = chat_usage(self.usage)
        self.produced = produced(completion["choices"][0]["message"])
        self.complete = True
        return Chunk(value=completion, content=True, usage=self.usage is not None)


def _text(holder: Mapping[str, Any], key: str) -> str:
    value = holder[key]
    if not isinstance(value, str):
        raise TypeError(key)
    return value
