"""Reading a stream in OpenAI's own dialect: bytes pass as they came, each event is looked at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.api import Call, Chunk, Kind, Outcome
from gateway.dialects import lenient
from gateway.dialects.chat_errors import in_band, invalid
from gateway.dialects.chat_usage import has_cost, parse_usage
from gateway.dialects.count import later
from gateway.dialects.reading import EventReading
from gateway.dialects.sse import Event

_OUTPUT = frozenset(
    {
        "content",
        "text",
        "refusal",
        "reasoning_content",
        "reasoning",
        "tool_calls",
        "function_call",
        "audio",
    }
)
_TEXTS = ("text", "thinking", "transcript", "function", "custom", "name", "arguments", "input")
_DEPTH = 6  # of texts in a delta; the deepest known are Mistral's thinking parts


class NativeReader(EventReading):
    """Reads the stream of a chat or a completion: a `gateway.api.Reader`.

    Events that arrive together go on as one chunk; only usage travels in chunks of its own. A usage chunk
    (``choices: []``) is for a client that asked for it; usage beside choices passes in any case, since
    an upstream that puts it there does so unasked, with our cost if it names one.
    """

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._include_usage = call.include_usage
        self._last_index = 0
        self._finished: set[int] = set()  # indexes of the choices that have their finish reason

    def finish(self) -> list[Chunk]:
        """The body has ended. A stream in which a choice has no finish reason was cut off."""
        whole = self.complete
        chunks = self._read(self._events(None))
        if whole and self.fault is not None and self.fault.kind is Kind.INVALID:
            self.fault = None  # what came behind the answer is not broken but cut off
        if not self.complete and self.fault is None:
            self.fault = Outcome(Kind.FAILED, 200, "the provider's stream ended without a finish reason")
        return chunks

    def _read(self, events: list[Event]) -> list[Chunk]:
        chunks: list[Chunk] = []
        plain: list[bytes] = []  # what is to be joined, and
        content = False  # whether there is output in it
        for event in events:
            value, shown = self._look(event)
            if self.done or self.fault is not None:
                break
            if usage := value.get("usage"):
                named = parse_usage(usage)
                self.usage = later(self.usage, named)
                if not self._include_usage and not value.get("choices"):
                    continue
                if (self._include_usage and named is not None) or has_cost(usage):
                    if plain:
                        chunks.append(Chunk(b"".join(plain), content=content))
                        plain, content = [], False
                    chunks.append(Chunk(event.raw, content=shown, usage=True))
                    continue
            plain.append(event.raw)
            content = content or shown
        if plain:
            chunks.append(Chunk(b"".join(plain), content=content))
        return chunks

    def _look(self, event: Event) -> tuple[dict[str, Any], bool]:
        """The event's value, and whether there is output in it. Notes the end of the answer, good or bad."""
        if not event.data:
            self.fault = _misplaced(event.raw)
            return {}, False
        if event.data == b"[DONE]":
            self.done = True
            return {}, False
        try:
            try:
                value = orjson.loads(event.data)
            except orjson.JSONDecodeError:
                value = lenient.read(event.data)
            if error := value.get("error") or (event.name == b"error" and value):
                self.fault = in_band(error)
            choices = value.get("choices")
            return value, self._follow(choices) if choices else False
        except (orjson.JSONDecodeError, AttributeError, TypeError):  # not JSON, or of another shape
            self.fault = self.fault or invalid("an event is no chunk of an answer")
            return {}, False

    def _follow(self, choices: Any) -> bool:
        """Note how far each choice is; say whether there is output in one."""
        shown = False
        for choice in choices:
            index = choice.get("index") or 0
            if index > self._last_index:
                self._last_index = index
                self.complete = False
            delta = choice.get("delta") or choice  # a completion has its text in the choice itself
            text = delta.get("content")
            if len(delta) == 1 and type(text) is str:  # by far the most frequent form
                shown = shown or text != ""
                self.produced += len(text)
            else:
                found, length = output(delta)
                shown = shown or found
                self.produced += length
            if choice.get("finish_reason"):
                self._finished.add(index)
                self.complete = len(self._finished) > self._last_index
        return shown


def output(message: Mapping[str, Any]) -> tuple[bool, int]:
    """Whether a message, a delta or a completion's choice holds output, and how many characters of text."""
    shown, length = False, 0
    for name, value in message.items():
        if value and name in _OUTPUT:
            shown = True
            length += len(value) if isinstance(value, str) else _characters(value, _DEPTH)
    return shown, length


def _characters(value: object, depth: int) -> int:
    if isinstance(value, str):
        return len(value)
    if depth == 0:
        return 0
    if isinstance(value, dict):
        value = [value[name] for name in _TEXTS if name in value]
    return sum(_characters(item, depth - 1) for item in value) if isinstance(value, list) else 0


def _misplaced(raw: bytes) -> Outcome | None:
    """What it means that these bytes, an event without data, are here: nothing, if they are a comment or
    a field without data; else the answer is no stream of events but JSON (perhaps an error), or HTML."""
    if raw[:1] not in (b"{", b"[", b"<"):
        return None
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict) and (error := value.get("error")):
        return in_band(error)
    return invalid("the answer is no stream of events")
