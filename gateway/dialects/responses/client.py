"""Clients of the Responses API (see `gateway.dialects.client`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api import ApiError, Usage
from gateway.dialects import openai_client
from gateway.dialects.chat_usage import with_cost
from gateway.dialects.client import Asked, ClientDialect
from gateway.dialects.responses import replay, stream
from gateway.dialects.responses.answer import from_chat
from gateway.dialects.responses.request import NAMES, to_chat
from gateway.dialects.responses.usage import responses_usage


class ResponsesEncoder:
    """A chat's answer as a response (see `gateway.dialects.client.Encoder`)."""

    def __init__(self, asked: Asked) -> None:
        self._body = asked.body
        self._stream = stream.Writer(asked.body)

    def whole(self, completion: Mapping[str, Any], usage: Usage, cost: int | None) -> bytes:
        return stream.whole(from_chat(completion, self._body), usage, cost)

    def events(self, chunk: Mapping[str, Any]) -> bytes:
        return self._stream.events(chunk)

    def end(self, usage: Usage, cost: int | None) -> bytes:
        return self._stream.end(usage, cost)

    def broken(self, error: ApiError, request_id: str) -> bytes:
        return self._stream.broken(error.body()["error"])


def _error_event(error: ApiError, request_id: str) -> bytes:
    return stream.error_event(error.body()["error"])


def _opening(body: Mapping[str, Any]) -> Any:
    """Everything up to the first message of the user."""
    given = body.get("input")
    if isinstance(given, list):
        length = next((place for place, item in enumerate(given, 1) if item.get("role") == "user"), None)
        given = given[:length]
    return [body.get("instructions"), given]


def _replayed(answer: Mapping[str, Any], include_usage: bool) -> bytes:
    return replay.as_stream(answer)


RESPONSES = ClientDialect(
    name="responses",
    limits=("max_output_tokens",),
    unheeded=frozenset({"stream", "stream_options", "user"}),
    opening=_opening,
    to_chat=to_chat,
    encoder=ResponsesEncoder,
    names=NAMES,
    error_body=openai_client.error_body,
    error_event=_error_event,
    done=b"",
    usage=responses_usage,
    with_cost=with_cost,
    as_stream=_replayed,
    assembly=replay.Assembly,
    complete=replay.is_complete,
)
