"""A stream of the Responses API: events written, and what a whole response is as a stream.

There is no ``[DONE]``: the last event is ``response.completed``, ``response.incomplete`` or ``error``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from gateway.dialects.chat_usage import set_cost
from gateway.dialects.responses.answer import Answer

Json = dict[str, Any]


class Encoder:
    """Numbers and writes the events of one answer, chunk by chunk of the chat that it is."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        """``body``: the request that is answered."""
        self._answer = Answer(body)
        self._number = 0
        self._closed = False

    def encode(self, chunk: Mapping[str, Any]) -> bytes:
        """The events that a ``chat.completion.chunk`` makes."""
        return self._write(self._answer.take(chunk))

    def close(self) -> bytes:
        """The answer is complete: what was still open ends. A second call does nothing."""
        if self._closed:
            return b""
        self._closed = True
        return self._write(self._answer.close())

    def last(self, cost: int | None) -> bytes:
        """The last event, after `close`: the whole response, with what it cost (nano-dollars)."""
        response = self._answer.response()
        set_cost(response, cost)
        return event({"type": f"response.{response['status']}", "response": response}, self._number)

    def _write(self, events: Iterable[Json]) -> bytes:
        written = []
        for each in events:
            written.append(event(each, self._number))
            self._number += 1
        return b"".join(written)


def event(value: Mapping[str, Any], number: int) -> bytes:
    """A server-sent event with its ``sequence_number``."""
    kind: str = value["type"]
    return b"event: %b\ndata: %b\n\n" % (
        kind.encode(),
        orjson.dumps({"type": kind, "sequence_number": number, **value}),
    )


def error_event(error: Mapping[str, Any], number: int = 0) -> bytes:
    """The event that ends a stream with an error, given in OpenAI's shape.

    The reference has its fields in the event itself, OpenAI's servers have them in ``error``, and clients
    look in either place: they are in both.
    """
    flat = {name: error.get(name) for name in ("code", "message", "param")}
    return event({"type": "error", **flat, "error": error}, number)
