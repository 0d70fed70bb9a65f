"""Answers that are passed on as they are, whatever their content type: JSON, text, events or a sound."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from gateway.api import ApiError, Chunk
from gateway.dialects import lenient
from gateway.dialects.passed import SPOKEN_TO, TEXT_FORMATS
from gateway.request.account import close_books
from gateway.request.attempt import Attempt, StreamAttempt, WholeAttempt
from gateway.request.dispatch import StreamAnswer, WholeAnswer
from gateway.request.head import EVENTS, stream_head
from gateway.request.plan import Choice
from gateway.request.relay import ByteRelay, sent
from gateway.request.transaction import Transaction, relay_to
from gateway.server import Direct

_JSON = "application/json"
_MAX_TYPE = 128
"""Characters of a content type that is passed on."""


def answering(tx: Transaction) -> WholeAnswer | StreamAnswer:
    """What takes the answer to the client."""
    if tx.stream:
        return EventAnswer(tx)
    return ByteAnswer(tx) if tx.operation.opaque else TypedAnswer(tx)


class _Typed:
    """Notes what an answer is, by its own account."""

    content_type = ""

    def note_type(self, headers: Mapping[str, str]) -> None:
        given = headers.get("content-type", "")
        if len(given) <= _MAX_TYPE and given.isascii() and given.isprintable():
            self.content_type = given


class TypedAttempt(_Typed, WholeAttempt):
    """An answer in one piece: JSON, or the text that was asked for."""

    text = False

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        self.note_type(headers)
        super().on_head(status, headers)

    def _accepts(self, content_type: str) -> bool:
        return "html" not in content_type if self.text else super()._accepts(content_type)


class TypedAnswer(WholeAnswer):
    """Sent in one piece, as what it says it is."""

    def attempt(self, choice: Choice) -> Attempt:
        tx = self._tx
        self._choice = choice
        self._attempt = TypedAttempt(choice.target, choice.reader)
        # Of other operations it may be anything, even what no set can be asked for.
        self._attempt.text = tx.operation.name in SPOKEN_TO and tx.body.get("response_format") in TEXT_FORMATS
        return self._attempt

    def response(self) -> Direct:
        assert isinstance(self._attempt, TypedAttempt)
        self.content_type = self._attempt.content_type or _JSON
        return super().response()


class EventAttempt(_Typed, StreamAttempt):
    """A stream of events, or JSON in its place where the model does not stream."""

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        self.note_type(headers)
        super().on_head(status, headers)


class OpaqueAnswer(StreamAnswer):
    """Relayed piece by piece, with nothing of ours in it: one that breaks off is cut off."""

    def response(self) -> Direct:
        self._tx.status = 200
        close_books(self._tx)
        self._relay.end(b"")
        return sent(self._tx.http)

    def broken(self, error: ApiError) -> Direct:
        tx = self._tx
        tx.fail(error, 200)
        tx.partial = True
        close_books(tx)
        self._relay.drop()
        return sent(tx.http)


class EventAnswer(OpaqueAnswer):
    """Relayed event by event; JSON in place of events as it is."""

    attempt_type = EventAttempt

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx, relay_to(tx, self._head))
        self._events = True
        """What the client was told that it gets."""

    def _head(self) -> bytes:
        self._events = not self._has_json
        return stream_head(self._tx.http, self._tx.headers(), EVENTS if self._events else _JSON)

    @property
    def _has_json(self) -> bool:
        return isinstance(self._attempt, EventAttempt) and "json" in self._attempt.content_type

    def _deliver(self, chunks: list[Chunk]) -> None:
        if self._has_json and self._relay.started:  # with a comment: what follows has to be an event
            for chunk in chunks:
                chunk.raw = b"data: %b\n\n" % orjson.dumps(lenient.loads(chunk.raw))
        super()._deliver(chunks)

    def response(self) -> Direct:
        return StreamAnswer.response(self) if self._events else super().response()

    def broken(self, error: ApiError) -> Direct:
        return StreamAnswer.broken(self, error) if self._events else super().broken(error)


class ByteAttempt(_Typed, StreamAttempt):
    """A sound, or another file."""

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        self.note_type(headers)
        super().on_head(status, headers)

    def _accepts(self, content_type: str) -> bool:
        return "json" not in content_type and "html" not in content_type


class ByteAnswer(OpaqueAnswer):
    """Relayed as it comes."""

    attempt_type = ByteAttempt

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx, ByteRelay(tx.http, self._head, b"", 0))

    def _head(self) -> bytes:
        assert isinstance(self._attempt, ByteAttempt)
        content_type = self._attempt.content_type or "application/octet-stream"
        return stream_head(self._tx.http, self._tx.headers(), content_type)
