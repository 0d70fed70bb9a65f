"""Answers of the operations that are passed on as they are: images, audio, moderations, rankings.

The shapes are those of OpenAI's API reference; rankings have the shape of Jina's and Cohere's v1. What an
answer may be billed by beside tokens is counted in it, or (speech) in the request.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from gateway.api import Call, Chunk, Kind, Outcome, Reader, Units, Usage
from gateway.api.usage import NO_UNITS
from gateway.dialects import chat_usage, lenient
from gateway.dialects.chat_errors import in_band, invalid
from gateway.dialects.chat_usage import has_cost
from gateway.dialects.count import LARGEST, later
from gateway.dialects.reading import EventReading, Reading, WholeReading
from gateway.dialects.sse import Event

SPOKEN_TO = frozenset({"transcriptions", "translations"})
"""What a form with a file is sent to."""
PASSED = frozenset({"moderations", "images", "speech", "rerank", *SPOKEN_TO})
TEXT_FORMATS = frozenset({"text", "srt", "vtt"})
"""Values of ``response_format`` for which a transcription is no JSON."""

_RESULTS: dict[str, tuple[str, ...]] = {
    "images": ("data",),
    "moderations": ("results",),
    "rerank": ("results", "data"),  # the latter: Voyage
}
_LAST = (".done", ".completed")
"""How the type of a stream's last event ends: ``transcript.text.done``, ``image_generation.completed``."""


def reader(call: Call) -> Reader:
    """A reader for what an upstream answers to ``call``, one of `PASSED`."""
    if call.stream:
        return EventReader(call)
    return BytesReader(call) if call.operation == "speech" else WholeReader(call)


def parse_usage(value: object, operation: str) -> Usage | None:
    """The ``usage`` of such an answer; None if it counts no tokens (``whisper-1`` counts seconds).

    OpenAI counts ``input_tokens`` and ``output_tokens`` here; rankings have ``prompt_tokens``, or only a
    total. What speech puts out is audio.
    """
    if not isinstance(value, dict):
        return None
    made = _named(value, "output_tokens", "completion_tokens") or 0
    taken = _named(value, "input_tokens", "prompt_tokens", "total_tokens")
    details = value.get("input_token_details") or value.get("input_tokens_details")
    return chat_usage.parse_usage(
        {
            "prompt_tokens": taken,
            "completion_tokens": made,
            "prompt_tokens_details": details,
            "completion_tokens_details": {"audio_tokens": made} if operation == "speech" else None,
        }
    )


def _named(value: dict[str, Any], *names: str) -> object:
    """The first of these that is said."""
    return next((value[name] for name in names if value.get(name) is not None), None)


def asked_units(call: Call) -> Units:
    """What a request is billed by before it is answered: the text that is to be spoken."""
    return Units(characters=len(call.body.get("input", ""))) if call.operation == "speech" else NO_UNITS


def answered_units(operation: str, value: dict[str, Any]) -> Units:
    """What an answer is billed by, as far as it says so.

    The length of a sound is told by ``usage`` (``{"type": "duration", "seconds": 3}``) or by the ``duration``
    of ``verbose_json``. A ranking is one search unit, unless it names them as Cohere's do.
    """
    if operation == "images":
        return Units(images=len(value["data"]))
    if operation == "rerank":
        return Units(searches=int(_figure(value, "meta", "billed_units", "search_units")) or 1)
    if operation in SPOKEN_TO:
        return Units(audio_seconds=_figure(value, "usage", "seconds") or _figure(value, "duration"))
    return NO_UNITS


def _figure(value: object, *path: str) -> Decimal:
    """The number at ``path``; 0 where there is none that makes sense."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    try:
        figure = Decimal(str(value))
        return figure if 0 <= figure <= LARGEST else Decimal(0)
    except InvalidOperation:
        return Decimal(0)


class WholeReader(WholeReading):
    """Reads an answer in one piece, JSON or (transcriptions) text: a `gateway.api.Reader`."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._operation = call.operation
        self._text = call.operation in SPOKEN_TO and call.body.get("response_format") in TEXT_FORMATS

    def _read(self, raw: bytes) -> Chunk | None:
        if self._text:
            self.produced = len(raw)
            self.complete = True
            return Chunk(raw, content=True) if raw else None
        try:
            value = lenient.loads(raw)
            if error := value.get("error"):
                self.fault = in_band(error)
                return None
            self._check(value)
        except (AttributeError, LookupError, TypeError, ValueError):
            self.fault = invalid(f"its body is no answer to {self._operation}")
            return None
        counted = parse_usage(value.get("usage"), self._operation)
        self.usage = counted or Usage(estimated=True)
        self.usage.units = answered_units(self._operation, value)
        self.complete = True
        return Chunk(raw, content=True, usage=counted is not None or has_cost(value.get("usage")))

    def _check(self, value: dict[str, Any]) -> None:
        """Raises one of the exceptions that `finish` expects for another shape."""
        if self._operation in SPOKEN_TO:
            self.produced = len(value["text"])
        elif not any(isinstance(value.get(name), list) for name in _RESULTS[self._operation]):
            raise ValueError("no results")


class BytesReader(Reading):
    """Reads a sound or any other file: a `gateway.api.Reader`. Bytes go on as they come."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self.usage = Usage(estimated=True, units=asked_units(call))
        self._begun = False

    def feed(self, data: bytes) -> list[Chunk]:
        """Take the next bytes of the body."""
        if not data:
            return []
        self._begun = True
        return [Chunk(data, content=True)]

    def finish(self) -> list[Chunk]:
        """The body has ended; that it was cut off only HTTP can tell."""
        if self._begun:
            self.complete = True
        else:
            self.fault = invalid("its body is empty")
        return []


class EventReader(EventReading):
    """Reads a stream of events: a `gateway.api.Reader`. They go on byte for byte.

    Models that do not stream answer with the whole JSON all the same (``whisper-1``), which is then the
    one chunk.
    """

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call
        self.usage = Usage(estimated=True, units=asked_units(call))
        self._begin: bytes | None = b""
        """What came while it was only white space; None once it was more."""
        self._whole: WholeReader | None = None
        self._due = (call.body.get("n") or 1) if call.operation == "images" else 1
        """Last events that are to come: one for each image."""
        self._ended = 0
        """So many of them came."""

    def feed(self, data: bytes) -> list[Chunk]:
        """Take the next bytes of the body."""
        if self._begin is not None:
            data = self._begin + data
            start = data.lstrip()
            self._begin = None if start else data
            if not start:
                return []
            if start.startswith(b"{"):
                self._whole = WholeReader(self._call)
        if self._whole is not None:
            return self._whole.feed(data)
        return super().feed(data)

    def finish(self) -> list[Chunk]:
        """The body has ended. A stream without its last event was cut off."""
        if (whole := self._whole) is not None:
            chunks = whole.finish()
            self.usage, self.fault = whole.usage, whole.fault
            self.complete, self.produced = whole.complete, whole.produced
            return chunks
        chunks = self._read(self._events(None))
        self.complete = self.complete or (self._ended > 0 and self.fault is None)
        if not self.complete and self.fault is None:
            self.fault = Outcome(Kind.FAILED, 200, "the provider's stream ended without its last event")
        return chunks

    def _read(self, events: list[Event]) -> list[Chunk]:
        chunks: list[Chunk] = []
        for event in events:
            if event.data == b"[DONE]":
                self.complete = self.done = True
            if self.done:
                break
            counted = bool(event.data) and self._look(event)
            if self.fault is not None:
                break
            chunks.append(Chunk(event.raw, content=bool(event.data), usage=counted))
        return chunks

    def _look(self, event: Event) -> bool:
        """Note what the event says of the end; return whether there are token figures in it."""
        try:
            value = lenient.loads(event.data)
            if error := value.get("error") or (event.name == b"error" and value):
                self.fault = in_band(error)
                return False
            if isinstance(delta := value.get("delta"), str) and self._call.operation in SPOKEN_TO:
                self.produced += len(delta)
            if str(value.get("type")).endswith(_LAST):
                self._ended += 1
                self.complete = self._ended >= self._due
            counted = parse_usage(value.get("usage"), self._call.operation)
        except (orjson.JSONDecodeError, AttributeError, TypeError):
            self.fault = self.fault or invalid("an event is no part of an answer")
            return False
        usage = later(self.usage, counted) or Usage(estimated=True)
        images = self._call.operation == "images"
        usage.units = Units(images=self._ended) if images else asked_units(self._call)
        self.usage = usage
        return counted is not None or has_cost(value.get("usage"))
