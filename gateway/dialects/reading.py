"""What readers of answers have in common, whatever dialect these are in: see `gateway.api.Reader`."""

from __future__ import annotations

from gateway.api import Chunk, Outcome, Usage
from gateway.dialects.chat_errors import invalid
from gateway.dialects.sse import Event, EventTooLarge, Splitter


class Reading:
    """What the core asks a reader for."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.fault: Outcome | None = None
        self.complete = False
        self.produced = 0


class WholeReading(Reading):
    """An answer in one piece: a subclass makes the one chunk of it."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> list[Chunk]:
        """Take the next bytes of the body; nothing is ready before its end."""
        self._parts.append(data)
        return []

    def finish(self) -> list[Chunk]:
        """The body has ended: the one chunk, if it is an answer."""
        raw = b"".join(self._parts)
        self._parts.clear()
        chunk = self._read(raw)
        return [] if chunk is None else [chunk]

    def _read(self, raw: bytes) -> Chunk | None:
        """None with the ``fault`` that it has."""
        raise NotImplementedError


class EventReading(Reading):
    """A stream of events, each of which a subclass looks at."""

    def __init__(self) -> None:
        super().__init__()
        self._splitter = Splitter()
        self.done = False
        """See `gateway.api.TerminatedReader`."""

    def feed(self, data: bytes) -> list[Chunk]:
        """Take the next bytes of the body."""
        return self._read(self._events(data))

    def _events(self, data: bytes | None) -> list[Event]:
        """The events that are whole with ``data``; None: with the end of the body."""
        if self.done or self.fault is not None:
            return []
        try:
            return self._splitter.finish() if data is None else self._splitter.feed(data)
        except EventTooLarge as error:
            self.fault = invalid(str(error))
            return []

    def _read(self, events: list[Event]) -> list[Chunk]:
        raise NotImplementedError
