"""OpenAI's clients: chats, legacy completions and embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson

from gateway.api import ApiError, Usage
from gateway.dialects.chat_usage import encode_chunk, openai_usage, set_cost, with_cost
from gateway.dialects.client import Asked, ClientDialect
from gateway.dialects.completions import from_chat, to_chat
from gateway.dialects.replay import Assembly, as_stream, is_complete

DONE = b"data: [DONE]\n\n"
LIMITS = ("max_completion_tokens", "max_tokens")
_UNHEEDED = frozenset({"stream", "stream_options", "user"})


def error_body(error: ApiError, request_id: str) -> dict[str, Any]:
    """OpenAI's shape has no room for the request id: it is in a header."""
    return error.body()


def error_event(error: ApiError, request_id: str) -> bytes:
    """The event that ends a stream in place of ``[DONE]``."""
    return b"data: " + orjson.dumps(error.body()) + b"\n\n"


def wants_usage(body: Mapping[str, Any]) -> bool:
    """Whether the ``stream_options`` ask for a usage chunk."""
    options = body.get("stream_options")
    return bool(options and options.get("include_usage"))


def _opening(body: Mapping[str, Any]) -> Any:
    """Everything up to the first message of the user."""
    messages = body["messages"]
    length = next((place for place, message in enumerate(messages, 1) if message["role"] == "user"), None)
    return messages[:length]


def choices(body: Mapping[str, Any]) -> int:
    """How many answers the request asks for at once."""
    return body.get("n") or 1


def _completions(body: Mapping[str, Any]) -> int:
    each: int = max(body.get("n") or 1, body.get("best_of") or 1)
    prompt = body.get("prompt")
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):  # several, not one in tokens
        return each * len(prompt)
    return each


def _replayed(operation: str, answer: Mapping[str, Any], include_usage: bool) -> bytes:
    return as_stream(answer, operation, include_usage=include_usage) + DONE


def _as_chat(body: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    return to_chat(body), ()


class CompletionEncoder:
    """A chat's answer as a completion (see `gateway.dialects.client.Encoder`)."""

    def __init__(self, asked: Asked) -> None:
        self._include_usage = asked.call.include_usage
        self._last: dict[str, Any] | None = None

    def whole(self, completion: Mapping[str, Any], usage: Usage, cost: int | None) -> bytes:
        value = from_chat(completion)
        figures = value.get("usage")
        value["usage"] = openai_usage(usage) if figures is None or usage.estimated else dict(figures)
        set_cost(value, cost)
        return orjson.dumps(value)

    def events(self, chunk: Mapping[str, Any]) -> bytes:
        value = from_chat(chunk)
        if value.get("usage"):
            self._last = {**value, "choices": []}
            value["usage"] = None
            if not value["choices"]:
                return b""
        return encode_chunk(value)

    def end(self, usage: Usage, cost: int | None) -> bytes:
        if self._last is None or not self._include_usage:
            return DONE
        value = {**self._last, "usage": dict(self._last["usage"])}
        set_cost(value, cost)
        return encode_chunk(value) + DONE

    def broken(self, error: ApiError, request_id: str) -> bytes:
        return error_event(error, request_id)


def speaking(name: str, **own: Any) -> ClientDialect:
    """The dialect of the operation ``name`` of OpenAI's, with what is its ``own`` beside what all have."""
    return ClientDialect(
        name=name,
        unheeded=_UNHEEDED,
        error_body=error_body,
        error_event=error_event,
        done=DONE,
        usage=openai_usage,
        with_cost=with_cost,
        as_stream=partial(_replayed, name),
        assembly=partial(Assembly, name),
        **own,
    )


CHAT = speaking(
    "chat",
    limits=LIMITS,
    wants_usage=wants_usage,
    answers=choices,
    opening=_opening,
    complete=is_complete,
)
COMPLETIONS = speaking(
    "completions",
    limits=LIMITS,
    wants_usage=wants_usage,
    answers=_completions,
    to_chat=_as_chat,
    encoder=CompletionEncoder,
    complete=is_complete,
)
EMBEDDINGS = speaking("embeddings")
