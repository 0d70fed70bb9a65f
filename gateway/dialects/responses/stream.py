"""A stream of the Responses API, written.

There is no ``[DONE]``: the last event is ``response.completed``, ``response.incomplete`` or ``error``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from gateway.api import Usage
from gateway.dialects.chat_usage import set_cost
from gateway.dialects.responses.answer import Answer
from gateway.dialects.responses.usage import responses_usage

Json = dict[str, Any]


class Writer:
    """Numbers and writes the events of one answer, chunk by chunk of the chat that it is."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        """``body``: the request that is answered."""
        self._answer = Answer(body)
        self._number = 0
        self._closing: bytes | None = None

    def events(self, chunk: Mapping[str, Any]) -> bytes:
        """The events that a ``chat.completion.chunk`` makes."""
        return self._write(self._answer.take(chunk))

    def end(self, usage: Usage, cost: int | None) -> bytes:
        """The last events of a complete answer: what was still open ends, and the whole response with its
        usage and cost (nano-dollars). Asked again, it says the same."""
        if self._closing is None:
            self._closing = self._write(self._answer.close())
        response = priced(self._answer.response(), usage, cost)
        last = event({"type": f"response.{response['status']}", "response": response}, self._number)
        return self._closing + last

    def broken(self, error: Mapping[str, Any]) -> bytes:
        """The last event of an answer that cannot go on; ``error`` in OpenAI's shape."""
        return error_event(error, self._number)

    def _write(self, events: Iterable[Json]) -> bytes:
        written = []
        for each in events:
            written.append(event(each, self._number))
            self._number += 1
        return b"".join(written)


def whole(response: Json, usage: Usage, cost: int | None) -> bytes:
    """The body of an answer that is not streamed."""
    return orjson.dumps(priced(response, usage, cost))


def priced(response: Json, usage: Usage, cost: int | None) -> Json:
    """The same with its usage and cost (nano-dollars), to be encoded by orjson."""
    complete = {**response, "usage": responses_usage(usage)}
    set_cost(complete, cost)
    return complete


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
