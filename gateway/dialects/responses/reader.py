"""Reading answers of the Responses API where the upstream has it: bytes pass as they came."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.api import Chunk, Kind, Outcome
from gateway.dialects import lenient
from gateway.dialects.chat_errors import in_band, invalid
from gateway.dialects.chat_usage import has_cost
from gateway.dialects.reading import EventReading, WholeReading
from gateway.dialects.responses.replay import ENDS
from gateway.dialects.responses.usage import parse_usage
from gateway.dialects.sse import Event

_LIFECYCLE = frozenset(
    {"response.created", "response.queued", "response.in_progress", "response.output_item.added"}
    | {"response.content_part.added", "response.reasoning_summary_part.added", "keepalive"}
)
"""Events that come before there is anything to see. What tells of a hosted tool at work is content: that
work cannot be taken back."""
_CALLERS = frozenset(
    {"invalid_prompt", "bio_policy", "cyber_policy", "misalignment_policy_violation", "invalid_image"}
    | {"invalid_image_format", "invalid_base64_image", "invalid_image_url", "image_too_large"}
    | {"image_too_small", "image_parse_error", "image_content_policy_violation", "invalid_image_mode"}
    | {"image_file_too_large", "unsupported_image_media_type", "empty_image_file"}
    | {"failed_to_download_image", "image_file_not_found"}
)
"""Codes of a failed response that are the request's fault."""


_FAILED = ("failed", "cancelled")


class StreamReader(EventReading):
    """Reads a streamed response: a `gateway.api.EndingReader`.

    Events that arrive together go on as one chunk.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ending: Chunk | None = None
        self._priced = False

    def finish(self) -> list[Chunk]:
        """The body has ended. A stream without ``response.completed`` or ``incomplete`` was cut off."""
        chunks = self._read(self._events(None))
        if not self.complete and self.fault is None:
            self.fault = Outcome(Kind.FAILED, 200, "the provider's stream ended before the response did")
        return chunks

    def _read(self, events: list[Event]) -> list[Chunk]:
        plain: list[bytes] = []
        content = False
        for event in events:
            if event.data == b"[DONE]":
                continue
            shown = self._look(event)
            if self.fault is not None:
                break
            if self.complete:
                self.ending = Chunk(event.raw, usage=self.usage is not None or self._priced)
                self.done = True
                break
            plain.append(event.raw)
            content = content or shown
        return [Chunk(b"".join(plain), content=content)] if plain else []

    def _look(self, event: Event) -> bool:
        """Whether there is output in the event. Notes the end of the answer, good or bad."""
        if not event.data:
            self._look_aside(event.raw)
            return False
        try:
            try:
                value = orjson.loads(event.data)
            except orjson.JSONDecodeError:
                value = lenient.read(event.data)
            kind = value["type"]
            if kind in _LIFECYCLE:
                return False
            if kind in ENDS:
                usage = value["response"].get("usage")
                self.usage, self._priced = parse_usage(usage), has_cost(usage)
                self.complete = True
            elif kind == "response.failed":
                self.usage = parse_usage(value["response"].get("usage"))
                self.fault = failure(value["response"].get("error"))
            elif kind == "error":
                self.fault = failure(value.get("error") or value)
            elif kind.endswith(".delta") and isinstance(delta := value.get("delta"), str):
                self.produced += len(delta)
                return delta != ""
        except (AttributeError, LookupError, TypeError, ValueError):
            self.fault = self._unknown(event)
        return True

    def _unknown(self, event: Event) -> Outcome:
        """What an event without a type is: an error in the form of a chat's, or nothing to pass on."""
        try:
            error = orjson.loads(event.data)["error"]
        except (LookupError, TypeError, ValueError):
            return invalid("an event is none of a response")
        return failure(error)

    def _look_aside(self, raw: bytes) -> None:
        """An event without data: a comment, or an answer that is no stream but JSON, or HTML."""
        if raw[:1] not in (b"{", b"[", b"<"):
            return
        try:
            error = orjson.loads(raw)["error"]
        except (LookupError, TypeError, ValueError):
            error = None
        self.fault = failure(error) if error else invalid("the answer is no stream of events")


class BodyReader(WholeReading):
    """Reads a whole response: a `gateway.api.Reader`. It goes on byte for byte."""

    def _read(self, raw: bytes) -> Chunk | None:
        try:
            value = lenient.loads(raw)
            if value.get("error") or value.get("status") in _FAILED:
                self.fault = failure(value.get("error"))
                return None
            self.produced = sum(_characters(item) for item in value["output"])
        except (AttributeError, LookupError, TypeError, ValueError):
            self.fault = invalid("its body is no response object")
            return None
        self.usage = parse_usage(value.get("usage"))
        self.complete = True
        return Chunk(raw, content=True, usage=self.usage is not None or has_cost(value.get("usage")))


def failure(error: object) -> Outcome:
    """What the error of a failed response means, or the one in an ``error`` event."""
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(error, dict) and isinstance(code, str) and code in _CALLERS:
        error = {**error, "type": "invalid_request_error"}
    return in_band(error)


def _characters(item: dict[str, Any]) -> int:
    """Characters of output in an item."""
    texts = [item.get("arguments"), item.get("input")]
    for name in ("content", "summary"):
        texts += [part.get("text") or part.get("refusal") for part in item.get(name) or ()]
    return sum(len(text) for text in texts if isinstance(text, str))
