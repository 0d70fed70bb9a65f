"""Messages given again: a whole one as a stream, and a stream put together to a whole one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.dialects.messages.inbound import events
from gateway.dialects.replay import Inexact
from gateway.dialects.sse import Event, Splitter

Json = dict[str, Any]

_ENDS = ("stop_reason", "stop_sequence", "stop_details", "container")
"""What a stream says of a message at its end."""
_LATE = frozenset({"output_tokens", "output_tokens_details", "cost"})
"""Figures that nobody has at the start of a stream."""


def as_stream(message: Mapping[str, Any], include_usage: bool) -> bytes:
    """The events that say what ``message`` says, ``message_stop`` last. Usage is always among them."""
    usage = message.get("usage") or {}
    first = {name: value for name, value in usage.items() if name not in _LATE}
    parts = [events.start(message, {**first, "output_tokens": 0})]
    for index, block in enumerate(message["content"]):
        parts += _block(index, block)
    parts.append(events.finish({name: message[name] for name in _ENDS if name in message}, usage))
    return b"".join(parts)


def is_complete(message: Mapping[str, Any]) -> bool:
    """Whether it says why it ends there."""
    return message.get("stop_reason") is not None


def _block(index: int, block: Mapping[str, Any]) -> list[bytes]:
    """A block as its beginning and one delta for each of its parts that come in deltas."""
    kind = block["type"]
    deltas: list[bytes] = []
    begun = dict(block)
    if kind == "text":
        begun["text"] = ""
        deltas.append(events.delta(index, "text_delta", "text", block["text"]))
        if begun.get("citations"):
            begun["citations"] = []
            deltas += [events.delta(index, "citations_delta", "citation", one) for one in block["citations"]]
    elif kind == "thinking":
        begun |= {"thinking": "", "signature": ""}
        deltas.append(events.delta(index, "thinking_delta", "thinking", block["thinking"]))
        deltas.append(events.delta(index, "signature_delta", "signature", block["signature"]))
    elif isinstance(block.get("input"), dict):
        begun["input"] = {}
        text = orjson.dumps(block["input"]).decode()
        deltas.append(events.delta(index, "input_json_delta", "partial_json", text))
    return [events.opened(index, begun), *deltas, events.closed(index)]


class Assembly:
    """Puts a stream together as it comes (a `client.Assembler`)."""

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._message: Json | None = None
        self._blocks: dict[int, Json] = {}
        self._inputs: dict[int, str] = {}

    def feed(self, stream: bytes) -> None:
        try:
            for event in self._splitter.feed(stream):
                self._add(event)
        except (AttributeError, LookupError, TypeError, ValueError) as exc:
            raise Inexact(str(exc)) from exc

    def whole(self) -> Json:
        message = self._message
        if message is None or not is_complete(message):
            raise Inexact("stop_reason")
        try:
            for index, text in self._inputs.items():
                self._blocks[index]["input"] = orjson.loads(text) if text.strip() else {}
        except ValueError as exc:  # the model was cut off in the middle of it
            raise Inexact("input") from exc
        return {**message, "content": [self._blocks[index] for index in sorted(self._blocks)]}

    def _add(self, event: Event) -> None:
        if not event.data:
            return
        value = orjson.loads(event.data)
        kind = value["type"]
        if kind == "message_start":
            self._message = {**value["message"]}
        elif kind == "content_block_start":
            self._blocks[value["index"]] = {**value["content_block"]}
        elif kind == "content_block_delta":
            self._delta(value["index"], value["delta"])
        elif kind == "message_delta":
            self._end(value)
        elif kind == "error":
            raise Inexact(kind)

    def _delta(self, index: int, delta: Json) -> None:
        block = self._blocks[index]
        kind = delta["type"]
        if kind == "text_delta":
            block["text"] += delta["text"]
        elif kind == "thinking_delta":
            block["thinking"] += delta["thinking"]
        elif kind == "signature_delta":
            block["signature"] = delta["signature"]
        elif kind == "input_json_delta":
            self._inputs[index] = self._inputs.get(index, "") + delta["partial_json"]
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        else:
            raise Inexact(kind)

    def _end(self, value: Json) -> None:
        if self._message is None:
            raise Inexact("message_delta")
        self._message |= value["delta"]
        figures = {name: figure for name, figure in (value.get("usage") or {}).items() if figure is not None}
        self._message["usage"] = {**(self._message.get("usage") or {}), **figures}
