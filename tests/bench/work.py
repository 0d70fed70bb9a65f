"""What is asked and answered: the request bodies of the load and the fixed answers of the mock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

_TEXT = "The quick brown fox jumps over the lazy dog. "
_SYSTEM = {"role": "system", "content": "You answer questions about foxes and dogs. " * 6}
_SPOKEN = _TEXT * 3


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of request, as sent to the gateway and as sent straight to the mock's own path."""

    name: str
    model: str
    path: str
    """The mock's path: where a bare proxy is asked. The gateway is always asked for chat completions."""
    body: bytes


def chat_body(model: str, size: int, *, stream: bool = False) -> bytes:
    """A chat request of about ``size`` bytes."""
    text = _TEXT * (max(size - 500, 0) // len(_TEXT) + 1)
    body: dict[str, Any] = {
        "model": model,
        "messages": [_SYSTEM, {"role": "user", "content": text}],
        "temperature": 0.7,
        "max_tokens": 256,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return orjson.dumps(body)


def works() -> list[Work]:
    """The rows of the request table: two sizes, the same dialect and two translated ones."""
    paths = {
        "gpt-bench": "/v1/chat/completions",
        "claude-bench": "/v1/messages",
        "gemini-bench": "/v1beta/models/gemini-bench:generateContent",
    }
    return [
        Work(f"{model.partition('-')[0]} {label}", model, path, chat_body(model, size))
        for model, path in paths.items()
        for label, size in (("1 KB", 900), ("100 KB", 100_000))
    ]


def streaming(model: str) -> Work:
    """A streamed request; ``model`` says how the mock streams."""
    return Work(model, model, "/v1/chat/completions", chat_body(model, 900, stream=True))


CHAT_ANSWER = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "gpt-bench",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": _SPOKEN, "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 220,
        "completion_tokens": 30,
        "total_tokens": 250,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    },
    "service_tier": "default",
}
MESSAGE_ANSWER = {
    "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
    "type": "message",
    "role": "assistant",
    "model": "claude-bench",
    "content": [{"type": "text", "text": _SPOKEN}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 220,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 30,
        "service_tier": "standard",
    },
}
GEMINI_ANSWER = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"text": _SPOKEN}]},
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {"promptTokenCount": 220, "candidatesTokenCount": 30, "totalTokenCount": 250},
    "modelVersion": "gemini-bench",
    "responseId": "mAitaLmkHPPlz7IPvtfUqQ4",
}
MARK = b"quick brown fox"
"""In every answer's text: what tells it from an error."""
