"""A chat's answer for Anthropic's clients: whole, or chunk by chunk as events (a `client.Encoder`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.api import ApiError, Usage
from gateway.dialects.chat_usage import set_cost
from gateway.dialects.client import Asked
from gateway.dialects.messages.inbound import events
from gateway.dialects.messages.inbound.answer import (
    from_chat,
    head,
    message_usage,
    own_thinking,
    stop_reason,
    text_of,
    thought_in,
)
from gateway.dialects.messages.inbound.errors import error_event
from gateway.dialects.messages.inbound.ids import to_client
from gateway.dialects.messages.inbound.thinking import wants_thoughts
from gateway.dialects.tool_calls import Calls


class MessageEncoder:
    """Anthropic's streams have one block open at a time: another kind of delta, or another tool call,
    closes it. Of several choices the first is told."""

    def __init__(self, asked: Asked) -> None:
        self._thoughts = wants_thoughts(asked.body)
        self._input_tokens = asked.input_tokens
        self._begun = False
        self._open: str | None = None  # the kind of the block that is open
        self._blocks = 0  # those begun
        self._calls = Calls()  # the last of them may be open
        self._refused = False
        self._reason: object = None
        self._head: dict[str, Any] = {}

    def whole(self, completion: Mapping[str, Any], usage: Usage, cost: int | None) -> bytes:
        message = from_chat(completion, thoughts=self._thoughts)
        message["usage"] = message_usage(usage)
        set_cost(message, cost)
        return orjson.dumps(message)

    def events(self, chunk: Mapping[str, Any]) -> bytes:
        choice = next((one for one in chunk.get("choices") or () if not one.get("index")), None)
        if choice is None:
            return b""
        told = [] if self._begun else [self._begin(chunk)]
        told += self._tell(choice.get("delta") or {})
        self._reason = choice.get("finish_reason") or self._reason
        return b"".join(told)

    def end(self, usage: Usage, cost: int | None) -> bytes:
        reason = stop_reason(self._reason, called=self._calls.count > 0, refused=self._refused)
        last = {"usage": message_usage(usage)}
        set_cost(last, cost)
        closing = events.closed(self._blocks - 1) if self._open is not None else b""
        return closing + events.finish({"stop_reason": reason, "stop_sequence": None}, last["usage"])

    def broken(self, error: ApiError, request_id: str) -> bytes:
        return error_event(error, request_id)

    def _begin(self, chunk: Mapping[str, Any]) -> bytes:
        self._begun = True
        # Nobody knows the figures yet: the last event has the true ones.
        usage = message_usage(Usage(input=self._input_tokens))
        return events.start(head(chunk, [], None), usage)

    def _tell(self, delta: Mapping[str, Any]) -> list[bytes]:
        told: list[bytes] = []
        if self._thoughts:
            if thought := thought_in(delta):
                told += self._think(thought)
            for detail in delta.get("reasoning_details") or ():
                if own_thinking(detail):
                    told += self._sign(detail)
        for field in ("content", "refusal"):
            if text := text_of(delta.get(field)):
                self._refused = self._refused or field == "refusal"
                told += self._into("text", {"text": ""})
                told.append(events.delta(self._blocks - 1, "text_delta", "text", text))
        for call in delta.get("tool_calls") or ():
            told += self._call(call)
        return told

    def _think(self, thought: str) -> list[bytes]:
        told = self._into("thinking", {"thinking": "", "signature": ""})
        return [*told, events.delta(self._blocks - 1, "thinking_delta", "thinking", thought)]

    def _sign(self, detail: Mapping[str, Any]) -> list[bytes]:
        """The end of a block of Anthropic's own: it comes whole, after what was thought in it."""
        if detail["type"] == "redacted_thinking":
            block = {name: value for name, value in detail.items() if name != "index"}
            return [*self._close(), self._start(block), events.closed(self._blocks - 1)]
        told = self._into("thinking", {"thinking": "", "signature": ""})
        told.append(events.delta(self._blocks - 1, "signature_delta", "signature", detail["signature"]))
        return told + self._close()

    def _call(self, call: Mapping[str, Any]) -> list[bytes]:
        told: list[bytes] = []
        begun = self._calls.count
        place = self._calls.place(call)
        function = call.get("function") or {}
        if place == begun:
            told += self._close()
            self._open = "tool_use"
            named = {"id": to_client(call.get("id")), "name": function["name"], "input": {}}
            told.append(self._start({"type": "tool_use", **named}))
        if text := function.get("arguments"):
            if place != self._calls.count - 1 or self._open != "tool_use":
                raise ValueError("a tool call goes on after another one began")
            told.append(events.delta(self._blocks - 1, "input_json_delta", "partial_json", text))
        return told

    def _into(self, kind: str, fields: Mapping[str, Any]) -> list[bytes]:
        """Be in a block of this kind."""
        if self._open == kind:
            return []
        told = self._close()
        self._open = kind
        return [*told, self._start({"type": kind, **fields})]

    def _start(self, block: Mapping[str, Any]) -> bytes:
        self._blocks += 1
        return events.opened(self._blocks - 1, block)

    def _close(self) -> list[bytes]:
        if self._open is None:
            return []
        self._open = None
        return [events.closed(self._blocks - 1)]
