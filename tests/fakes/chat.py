"""OpenAI-shaped answers as bytes: what a scripted server sends when it behaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from tests.fakes.openai_chat import DONE, event

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
_HEAD = {"id": "chatcmpl-1", "created": 1_790_000_000, "model": "gpt-4o"}


def chat_answer(text: str = "Hello.", usage: dict[str, Any] | None = USAGE, **extra: Any) -> bytes:
    """A whole ``chat.completion``; without ``usage`` if that is None."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = {**_HEAD, "object": "chat.completion", "choices": [choice], **extra}
    return orjson.dumps(body if usage is None else {**body, "usage": usage})


def chat_stream_events(
    texts: Sequence[str] = ("Hel", "lo."),
    usage: dict[str, Any] | None = USAGE,
    *,
    finish: str | None = "stop",
    done: bool = True,
) -> list[bytes]:
    """The events of a streamed answer, ``[DONE]`` last; each part but the texts can be left out."""
    events = [chunk({"role": "assistant", "content": "", "refusal": None})]
    events += [chunk({"content": text}) for text in texts]
    if finish is not None:
        events.append(chunk({}, finish))
    if usage is not None:
        events.append(event({**_HEAD, "object": "chat.completion.chunk", "choices": [], "usage": usage}))
    return [*events, DONE] if done else events


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """One event of a streamed answer."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return event({**_HEAD, "object": "chat.completion.chunk", "choices": [choice]})


def error_body(message: str = "scripted fault", kind: str = "server_error", code: str | None = None) -> bytes:
    """An error in OpenAI's shape."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


HTML = b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"
