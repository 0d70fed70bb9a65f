"""The streamed answer: events of Anthropic's as ``chat.completion.chunk`` values of OpenAI's.

Source: Anthropic's "Streaming messages" page. Events are known by the ``type`` in their data; those of a
type not known (``ping`` among them) are passed over, as the page asks.
"""

from __future__ import annotations

import time
from typing import Any

import orjson

from gateway.api import Call, Chunk, Kind
from gateway.dialects.lenient import Joiner
from gateway.dialects.messages.answer import finish_reason, head, refusal_text
from gateway.dialects.messages.errors import broken, in_band
from gateway.dialects.messages.usage import begun_usage, chat_usage, read_usage
from gateway.dialects.reading import EventReading
from gateway.dialects.sse import Event

Json = dict[str, Any]


class _Block:
    """A content block on its way: what its deltas add up to."""

    __slots__ = ("call", "pieces", "value")

    def __init__(self, value: Json, call: int) -> None:
        self.value = value
        self.call = call  # its place among the tool calls
        self.pieces: list[str] = []  # of thinking or of a tool's input


class StreamReader(EventReading):
    """Reads a streamed answer (see `gateway.api.Reader`)."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._include_usage = call.include_usage
        self._joiner = Joiner()
        self._head: Json | None = None
        self._counts: Json = {}
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._thoughts = 0
        self._ready: list[Chunk] = []

    def finish(self) -> list[Chunk]:
        """The body has ended. Without a stop reason it was cut off."""
        if self.fault is not None:
            return []
        chunks = self._read(self._events(None))
        if self.fault is not None and self.fault.kind is Kind.INVALID:
            self.fault = None  # the last event is not broken but cut off
        if self.complete:
            self._end()
        elif self.fault is None:
            self.fault = broken(Kind.FAILED, "the provider's stream ended early")
        return chunks + self._taken()

    def _read(self, events: list[Event]) -> list[Chunk]:
        for event in events:
            try:
                if event.data:
                    self._look(self._joiner.loads(event.data))
                elif self._head is None and event.raw.startswith(b"{"):  # not a stream at all
                    value = orjson.loads(event.raw)
                    if value.get("error") is not None:
                        self.fault = in_band(value)
            except (KeyError, TypeError, ValueError, AttributeError):
                self.fault = broken(Kind.INVALID, "the provider's stream holds an event that is broken")
            if self.fault is not None or self.done:
                break
        return self._taken()

    def _taken(self) -> list[Chunk]:
        ready, self._ready = self._ready, []
        return ready

    def _look(self, event: Json) -> None:
        kind = event["type"]
        if kind == "content_block_delta":
            self._delta(self._blocks[event["index"]], event["delta"])
        elif kind == "content_block_start":
            self._start_block(event["index"], event["content_block"])
        elif kind == "content_block_stop":
            self._stop_block(self._blocks.pop(event["index"]))
        elif kind == "message_start":
            self._start(event["message"])
        elif kind == "message_delta":
            self._settle(event["delta"], event.get("usage"))
        elif kind == "message_stop":
            if self.complete:
                self._end()
        elif kind == "error":
            self.fault = in_band(event)

    def _start(self, message: Json) -> None:
        self._head = head(message, "chat.completion.chunk", int(time.time()))
        self._count(message.get("usage"))
        self._counts.pop("output_tokens", None)  # it is 1 at the start, and only later the truth
        self.usage = begun_usage(self._counts)
        self._emit({"role": "assistant", "content": "", "refusal": None}, content=False)

    def _start_block(self, index: int, value: Json) -> None:
        block = self._blocks[index] = _Block(value, self._calls)
        kind = value["type"]
        if kind == "text":
            self._say("content", value["text"])
        elif kind == "thinking":
            self._think(block, value["thinking"])
        elif kind == "tool_use":
            self._calls += 1
            function = {"name": _text(value["name"]), "arguments": ""}
            self._call(block, {"id": _text(value["id"]), "type": "function", "function": function})

    def _delta(self, block: _Block, delta: Json) -> None:
        kind = delta["type"]
        if kind == "text_delta":
            self._say("content", delta["text"])
        elif kind == "input_json_delta":
            self._argue(block, delta["partial_json"])
        elif kind == "thinking_delta":
            self._think(block, delta["thinking"])
        elif kind == "signature_delta":
            block.value["signature"] = _text(delta["signature"])

    def _stop_block(self, block: _Block) -> None:
        kind = block.value["type"]
        if kind == "tool_use" and not block.pieces:
            # Without deltas the input is what the block began with, {} for a tool without parameters.
            self._argue(block, orjson.dumps(block.value["input"]).decode())
        elif kind == "thinking" or kind == "redacted_thinking":
            if kind == "thinking":
                block.value["thinking"] = "".join(block.pieces)
            # Only in deltas, as with tool calls, blocks carry the index by which clients put them together.
            self._emit({"reasoning_details": [{**block.value, "index": self._thoughts}]})
            self._thoughts += 1

    def _count(self, counts: object) -> None:
        """Take the figures of an event; each counts all that there was so far, so 0 says nothing anew."""
        if isinstance(counts, dict):
            known = self._counts
            known.update({key: value for key, value in counts.items() if value or known.get(key) is None})

    def _settle(self, delta: Json, counts: object) -> None:
        self._count(counts)
        self.usage = read_usage(self._counts) or self.usage
        reason = delta.get("stop_reason")
        if reason is not None and not self.complete:
            if text := refusal_text(delta.get("stop_details")):
                self._say("refusal", text)
            self._emit({}, finish_reason(reason), content=False)
            self.complete = True

    def _end(self) -> None:
        """The last chunk, once: the usage, for a client that asked."""
        usage = None if self.usage is None or self.usage.estimated else self.usage
        if self._include_usage and usage is not None and self._head is not None and not self.done:
            value = {**self._head, "choices": [], "usage": chat_usage(usage)}
            self._ready.append(Chunk(value=value, usage=True))
        self.done = True

    def _say(self, field: str, text: str) -> None:
        if text:
            self.produced += len(_text(text))
            self._emit({field: text})

    def _think(self, block: _Block, text: str) -> None:
        block.pieces.append(_text(text))
        self._say("reasoning_content", text)

    def _argue(self, block: _Block, text: str) -> None:
        if _text(text):
            block.pieces.append(text)
            self.produced += len(text)
            self._call(block, {"function": {"arguments": text}})

    def _call(self, block: _Block, call: Json) -> None:
        self._emit({"tool_calls": [{"index": block.call, **call}]})

    def _emit(self, delta: Json, reason: str | None = None, *, content: bool = True) -> None:
        if self._head is None:
            raise ValueError("no message was started")
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        value = {**self._head, "choices": [choice]}
        if self._include_usage:
            value["usage"] = None
        self._ready.append(Chunk(value=value, content=content))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text is needed")
    return value
