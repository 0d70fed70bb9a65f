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
    arguments_text,
    from_chat,
    head,
    message_usage,
    own_thinking,
    stop_reason,
    text_of,
    thought_in,
)
from gateway.dialects.messages.inbound.errors import error_event
from gateway.dialects.messages.inbound.thinking import wants_thoughts
from gateway.dialects.messages.inbound.tool_use import ToolUse
from gateway.dialects.tool_calls import Calls


class MessageEncoder:
    """Anthropic's streams have one block open at a time: another kind of delta closes it, and so does another
    tool call, if the open one has all of its arguments. If it may still go on, calls that begin wait for its
    end. Of several choices the first is told."""

    def __init__(self, asked: Asked) -> None:
        self._thoughts = wants_thoughts(asked.body)
        self._input_tokens = asked.input_tokens
        self._begun = False
        self._open: str | None = None  # the kind of the block that is open
        self._blocks = 0  # those begun
        self._calls = Calls()
        self._uses: dict[int, ToolUse] = {}  # calls that are not closed, by their number: the first is open
        self._closing: bytes | None = None
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
        if self._closing is None:
            self._closing = b"".join(self._close())
        return self._closing + events.finish({"stop_reason": reason, "stop_sequence": None}, last["usage"])

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
        if place == begun:
            if self._open != "tool_use" or self._may_close():
                told += self._close()
            self._uses[place] = use = ToolUse(call)
            if self._open is None:
                self._open = "tool_use"
                told.append(self._start(use.block))
        if text := arguments_text((call.get("function") or {}).get("arguments")):
            told += self._argue(place, text)
        return told

    def _may_close(self) -> bool:
        """Whether the open call has all of its arguments. No other one waits for it then: it would be told
        out of turn, or the same arguments would be looked at time and again."""
        return len(self._uses) == 1 and next(iter(self._uses.values())).complete

    def _argue(self, place: int, text: str) -> list[bytes]:
        use = self._uses.get(place)
        if use is None:
            if text.strip():
                raise ValueError("a tool call goes on after its block was closed")
            return []
        use.take(text)
        return self._input(use.news()) if place == next(iter(self._uses)) else []

    def _input(self, text: str) -> list[bytes]:
        return [events.delta(self._blocks - 1, "input_json_delta", "partial_json", text)] if text else []

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
        """Nothing is open any more: neither what was, nor what waited for its end."""
        kind, self._open = self._open, None
        if kind is None:
            return []
        if kind != "tool_use":
            return [events.closed(self._blocks - 1)]
        told: list[bytes] = []
        for number, use in enumerate(self._uses.values()):
            if number:
                told.append(self._start(use.block))
            told += [*self._input(use.rest()), events.closed(self._blocks - 1)]
        self._uses.clear()
        return told
