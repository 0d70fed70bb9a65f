"""Messages for a client that speaks Messages: values go up as they came, bytes come down as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from gateway.api import Call, Chunk, Kind, Usage
from gateway.dialects import lenient
from gateway.dialects.chat_usage import has_cost
from gateway.dialects.messages.errors import broken, in_band
from gateway.dialects.messages.reasoning import fitted
from gateway.dialects.messages.usage import begun_usage, read_usage
from gateway.dialects.reading import EventReading, WholeReading
from gateway.dialects.sse import Event

Json = dict[str, Any]

_THOUGHTS = ("thinking", "redacted_thinking")
_TEXTS = ("text", "partial_json", "thinking")


def addressed(call: Call) -> tuple[Json, tuple[str, ...]]:
    """The client's request with the upstream's model and the operator's ceiling in it, and the names of what
    it loses. Raises `Unsupported` where the ceiling leaves no room for the thinking that was asked for.

    Thinking blocks without a signature go out: other providers thought them, and Anthropic refuses them.
    """
    body = {**call.body, "model": call.model}
    dropped: tuple[str, ...] = ()
    if any(map(_unsigned_in, body["messages"])):
        if (body.get("thinking") or {}).get("type") == "enabled" and _calls_unsigned(body["messages"]):
            del body["thinking"]
            dropped = ("thinking",)
        body["messages"] = list(_signed(body["messages"]))
    if call.max_tokens is not None:
        body["max_tokens"] = min(body["max_tokens"], call.max_tokens)
        if thinking := body.get("thinking"):
            body["thinking"] = fitted(thinking, body["max_tokens"])
    return body, dropped


def _unsigned(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") == "thinking" and not block.get("signature")


def _unsigned_in(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(map(_unsigned, content))


def _signed(messages: Sequence[Json]) -> Iterator[Json]:
    """The messages without unsigned thinking; one that was nothing else is none."""
    for message in messages:
        if not _unsigned_in(message):
            yield message
        elif content := [block for block in message["content"] if not _unsigned(block)]:
            yield {**message, "content": content}


def _calls_unsigned(messages: Sequence[Json]) -> bool:
    """Whether tool calls under way followed upon unsigned thinking: "Expected `thinking` or
    `redacted_thinking`, but found `tool_use`" says Anthropic then, if it is to go on thinking."""
    for message in reversed(messages):
        content = message.get("content")
        kinds = (
            [block.get("type") for block in content if not _unsigned(block)]
            if isinstance(content, list)
            else []
        )
        if message.get("role") == "user":
            if "tool_result" not in kinds:
                return False
        elif _unsigned_in(message) and "tool_use" in kinds and kinds[0] not in _THOUGHTS:
            return True
    return False


class NativeStream(EventReading):
    """Reads a streamed answer (see `gateway.api.EndingReader`). Events that arrive together go on as one
    chunk; only usage travels in chunks of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.ending: Chunk | None = None
        self._begun = False
        self._counts: Json = {}

    def finish(self) -> list[Chunk]:
        """The body has ended. Without a stop reason it was cut off."""
        if self.fault is not None:
            return []
        chunks = self._read(self._events(None))
        if self.fault is not None and self.fault.kind is Kind.INVALID:
            self.fault = None  # the last event is not broken but cut off
        if not self.complete and self.fault is None:
            self.fault = broken(Kind.FAILED, "the provider's stream ended early")
        return chunks

    def _read(self, events: list[Event]) -> list[Chunk]:
        chunks: list[Chunk] = []
        plain: list[bytes] = []  # what is to be joined, and
        content = False  # whether there is output in it
        for event in events:
            shown = named = False
            try:
                shown, named = self._look(event)
            except (AttributeError, LookupError, TypeError, ValueError):
                self.fault = broken(Kind.INVALID, "the provider's stream holds an event that is broken")
            if self.fault is not None or self.done:
                break
            if named:
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

    def _look(self, event: Event) -> tuple[bool, bool]:
        """Whether there is output in the event, and whether it names usage. Notes the end, good or bad."""
        if not event.data:
            if not self._begun and event.raw.startswith(b"{"):  # not a stream at all
                self._read_whole(orjson.loads(event.raw))
            return False, False
        try:
            value = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            value = lenient.read(event.data)
        kind = value["type"]
        if kind == "content_block_delta":
            return self._follow(value["delta"]), False
        if kind == "content_block_start":
            block = value["content_block"]
            return block["type"] not in ("text", "thinking") or self._follow(block), False
        if kind == "message_start":
            self._begun = True
            self._count(value["message"].get("usage"))
            self._counts.pop("output_tokens", None)  # it is 1 at the start, and only later the truth
            self.usage = begun_usage(self._counts)
        elif kind == "message_delta":
            return False, self._settle(value)
        elif kind == "message_stop":
            if self.complete:
                self.ending = Chunk(event.raw)
                self.done = True
        elif kind == "error":
            self.fault = in_band(value)
        return False, False

    def _read_whole(self, value: Json) -> None:
        if value.get("error") is None:
            raise ValueError("no stream")
        self.fault = in_band(value)

    def _follow(self, holder: Mapping[str, Any]) -> bool:
        """Count what a block or delta holds; say whether that is anything."""
        texts = [holder[name] for name in _TEXTS if name in holder]
        self.produced += sum(map(len, texts))
        return not texts or any(texts)  # what has none is a signature, a citation or something new

    def _count(self, counts: object) -> None:
        """Take the figures of an event; each counts all that there was so far, so 0 says nothing anew."""
        if isinstance(counts, dict):
            known = self._counts
            known.update({key: value for key, value in counts.items() if value or known.get(key) is None})

    def _settle(self, value: Json) -> bool:
        self._count(value.get("usage"))
        settled = read_usage(self._counts)
        self.usage = settled or self.usage
        self.complete = self.complete or value["delta"].get("stop_reason") is not None
        usage = value.get("usage")
        return has_cost(usage) or (settled is not None and isinstance(usage, dict))


class NativeWhole(WholeReading):
    """Reads an answer in one piece (see `gateway.api.Reader`): a message, or a count of tokens."""

    def __init__(self, *, counting: bool) -> None:
        super().__init__()
        self._counting = counting

    def _read(self, raw: bytes) -> Chunk | None:
        if not raw.lstrip().startswith(b"{"):
            # A page of something in between, not of the provider: nothing was billed.
            self.fault = broken(Kind.FAILED, "the provider's answer is not JSON")
            return None
        try:
            value = lenient.loads(raw)
            if value.get("error") is not None:
                self.fault = in_band(value)
                return None
            self._take(value)
        except (AttributeError, LookupError, TypeError, ValueError):
            self.fault = broken(Kind.INVALID, "the provider's answer is not complete")
            return None
        self.complete = True
        named = self.usage is not None or has_cost(value.get("usage"))
        return Chunk(raw, content=True, usage=named and not self._counting)

    def _take(self, value: Json) -> None:
        if self._counting:
            if type(value["input_tokens"]) is not int:
                raise TypeError("input_tokens")
            self.usage = Usage()  # counting is free
            return
        for block in value["content"]:
            self.produced += sum(len(block[name]) for name in _TEXTS if name in block)
            self.produced += len(orjson.dumps(block["input"])) if block["type"] == "tool_use" else 0
        self.usage = read_usage(value.get("usage"))
