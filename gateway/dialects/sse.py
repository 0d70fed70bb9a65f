"""Server-sent events, read incrementally: events out are the same however the bytes were cut."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_EVENT = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_BLANK_LINE = re.compile(rb"(?:\r\n?+|\n){2}")


class EventTooLarge(ValueError):
    """An event grew beyond the cap (16 MiB)."""


@dataclass(slots=True)
class Event:
    """One event of a stream (WHATWG HTML, section 9.2)."""

    raw: bytes
    """Its bytes as they came, with the blank line that ends it."""
    name: bytes
    """The ``event:`` field; empty if there was none."""
    data: bytes
    """The ``data:`` lines, joined by newlines; empty for a comment."""


class Splitter:
    """Cuts a byte stream into events. Lines end with LF, CRLF or CR, and with nothing else."""

    def __init__(self) -> None:
        self._rest = bytearray()  # the event that is still coming
        self._scanned = 0  # no blank line begins before this position of it
        self._carriage = False  # the stream has CRs: cheaper to ask once than for each event
        self._first = True

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, return the events they complete. Comments and stray blank lines come as events
        without data: what comes out, joined, is what went in.

        Raises `EventTooLarge`, after the events before it were returned.
        """
        if self._first:
            data = self._without_bom(data)
        if not self._carriage and b"\r" in data:
            self._carriage = True
        scan = self._scanned
        if self._rest:
            self._rest += data
            if self._boundary(self._rest, scan) < 0:
                data = b""
            else:
                data = bytes(self._rest)
                self._rest.clear()
        events: list[Event] = []
        start = 0
        while (end := self._boundary(data, scan)) > 0 and end - start <= MAX_EVENT:
            events.append(self._event(data[start:end]))
            start = scan = end
        if start < len(data):
            self._rest += data[start:]
        if len(self._rest) > MAX_EVENT and not events:
            raise EventTooLarge(f"an event is larger than {MAX_EVENT} bytes")
        self._scanned = max(len(self._rest) - 3, 0)  # CR LF CR LF may have begun
        return events

    def finish(self) -> list[Event]:
        """The stream has ended: the last event may lack its blank line, which is then added.

        Raises `EventTooLarge`.
        """
        rest = bytes(self._rest)
        self._rest.clear()
        if len(rest) > MAX_EVENT:
            raise EventTooLarge(f"an event is larger than {MAX_EVENT} bytes")
        if not rest.strip(b"\r\n"):
            return []
        if not _BLANK_LINE.search(rest):
            rest += b"\n" if rest.endswith(b"\n") else b"\n\n"
        return [self._event(rest)]

    def _without_bom(self, data: bytes) -> bytes:
        data = bytes(self._rest) + data
        self._rest.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._rest += data
            return b""
        self._first = False
        return data.removeprefix(_BOM)

    def _boundary(self, buffer: bytes | bytearray, scan: int) -> int:
        """Where the first event ends that has its blank line at or after ``scan``; -1 if it is to come."""
        if not self._carriage:
            at = buffer.find(b"\n\n", scan)
            return at + 2 if at >= 0 else -1
        found = _BLANK_LINE.search(buffer, scan)
        if found is None or (found.end() == len(buffer) and buffer.endswith(b"\r")):
            return -1  # the LF of a last CR may still come
        return found.end()

    def _event(self, raw: bytes) -> Event:
        if not self._carriage and raw.startswith(b"data: ") and b"\n" not in (data := raw[6:-2]):
            return Event(raw, b"", data)  # by far the most frequent form
        name = b""
        values: list[bytes] = []
        for line in raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                values.append(value)
            elif field == b"event":
                name = value
        return Event(raw, name, b"\n".join(values))


def whole_events(data: bytes) -> list[Event]:
    """The events of bytes that hold all of them: the LF of a last CR is not waited for."""
    splitter = Splitter()
    return splitter.feed(data) + splitter.finish()
