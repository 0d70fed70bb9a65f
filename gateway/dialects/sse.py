"""Server-sent events, read incrementally: events out are the same however the bytes were cut."""

from __future__ import annotations

from dataclasses import dataclass

MAX_EVENT = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


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
        self._rest = b""
        self._first = True

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, return the events they complete (comments come as events without data).

        Raises `EventTooLarge`.
        """
        buffer = self._rest + data if self._rest else data
        if self._first and buffer:
            if len(buffer) < 3 and _BOM.startswith(buffer):
                self._rest = buffer
                return []
            self._first = False
            buffer = buffer.removeprefix(_BOM)
        events: list[Event] = []
        start = 0
        while (end := _boundary(buffer, start)) > 0:
            if (event := _parse(buffer[start:end])) is not None:
                events.append(event)
            start = end
        self._rest = buffer[start:]
        if len(self._rest) > MAX_EVENT:
            raise EventTooLarge(f"an event is larger than {MAX_EVENT} bytes")
        return events

    def finish(self) -> list[Event]:
        """The stream has ended: the last event may lack its blank line."""
        rest, self._rest = self._rest, b""
        event = _parse(rest + b"\n\n") if rest.strip(b"\r\n") else None
        return [] if event is None else [event]


def _boundary(buffer: bytes, start: int) -> int:
    """Where the event that begins at ``start`` ends (after its blank line), or -1."""
    if b"\r" not in buffer:
        at = buffer.find(b"\n\n", start)
        return at + 2 if at >= 0 else -1
    position = start
    blank = True  # a line that has nothing in it yet
    size = len(buffer)
    while position < size:
        byte = buffer[position]
        if byte in b"\r\n":
            if byte == 13:
                if position + 1 == size:
                    return -1  # its LF may still come
                if buffer[position + 1] == 10:
                    position += 1
            if blank:
                return position + 1
            blank = True
            position += 1
            continue
        blank = False
        carriage, line = buffer.find(b"\r", position), buffer.find(b"\n", position)
        if carriage < 0 and line < 0:
            return -1
        position = min(at for at in (carriage, line) if at >= 0)
    return -1


def _parse(raw: bytes) -> Event | None:
    """The event in ``raw``; None for a stray blank line."""
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 and b"\r" not in raw:
        return Event(raw, b"", raw[6:-2])  # by far the most frequent form
    name = b""
    data: list[bytes] = []
    lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for line in lines:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return Event(raw, name, b"\n".join(data)) if any(lines) else None
