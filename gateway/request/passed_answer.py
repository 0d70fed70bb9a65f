"""Answers that are passed on as they are, whatever their content type: JSON, text, events or a sound."""

from __future__ import annotations

import orjson

from gateway.api import ApiError, Chunk
from gateway.dialects import lenient
from gateway.dialects.passed import SPOKEN_TO, TEXT_FORMATS
from gateway.request.account import close_books
from gateway.request.answers import Answer, StreamAnswer, WholeAnswer
from gateway.request.attempt import StreamAttempt, WholeAttempt
from gateway.request.ending import streamed
from gateway.request.head import EVENTS, stream_head
from gateway.request.relay import ByteRelay, sent
from gateway.request.transaction import Transaction, relay_to
from gateway.server import Direct

_JSON = "application/json"


def answering(tx: Transaction) -> Answer:
    """What takes the answer to the client."""
    if tx.stream:
        return EventAnswer(tx)
    return ByteAnswer(tx) if tx.operation.opaque else TypedAnswer(tx)


class TextAttempt(WholeAttempt):
    """An answer in the text that was asked for."""

    def _accepts(self, content_type: str) -> bool:
        return "html" not in content_type


class TypedAnswer(WholeAnswer):
    """Sent in one piece, as what it says it is."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        # Of other operations the format may be anything, even what no set can be asked for.
        if tx.operation.name in SPOKEN_TO and tx.body.get("response_format") in TEXT_FORMATS:
            self.attempt_type = TextAttempt

    def response(self) -> Direct:
        assert self._attempt is not None
        self.content_type = self._attempt.content_type or _JSON
        return super().response()


class PassedAnswer(StreamAnswer):
    """Relayed piece by piece. Where these are no events there is nothing of ours in it, and one that breaks
    off is cut off."""

    _events = False
    """What the client was told that it gets."""

    def response(self) -> Direct:
        if self._events:
            return super().response()
        self._tx.status = 200
        return streamed(self._tx, self._relay, b"")

    def broken(self, error: ApiError) -> Direct:
        if self._events:
            return super().broken(error)
        tx = self._tx
        tx.fail(error, 200)
        tx.partial = True
        close_books(tx)
        self._relay.drop()
        return sent(tx.http)


class EventAnswer(PassedAnswer):
    """Relayed event by event; JSON in place of events, where the model does not stream, as it is."""

    _events = True

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx, relay_to(tx, self._head))

    def _head(self) -> bytes:
        self._events = not self._has_json
        return stream_head(self._tx.http, self._tx.headers(), EVENTS if self._events else _JSON)

    @property
    def _has_json(self) -> bool:
        return self._attempt is not None and "json" in self._attempt.content_type.lower()

    def _deliver(self, chunks: list[Chunk]) -> None:
        if self._has_json and self._relay.started:  # with a comment: what follows has to be an event
            for chunk in chunks:
                chunk.raw = b"data: %b\n\n" % orjson.dumps(lenient.loads(chunk.raw))
        super()._deliver(chunks)


class ByteAttempt(StreamAttempt):
    """A sound, or another file."""

    def _accepts(self, content_type: str) -> bool:
        return "json" not in content_type and "html" not in content_type


class ByteAnswer(PassedAnswer):
    """Relayed as it comes."""

    attempt_type = ByteAttempt

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx, ByteRelay(tx.http, self._head, b"", 0))

    def _head(self) -> bytes:
        assert self._attempt is not None
        content_type = self._attempt.content_type or "application/octet-stream"
        return stream_head(self._tx.http, self._tx.headers(), content_type)
