"""The answer of a chat, whole or in chunks, as a response and its events."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from gateway.dialects.responses.identity import Names, signed
from gateway.dialects.responses.items import CallItem, Item, Json, MessageItem, ReasoningItem
from gateway.dialects.tool_calls import Calls

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer ends before its end, by the ``finish_reason`` of a chat."""
_THOUGHTS = ("reasoning_content", "reasoning")
_CITATION = "url_citation"


def from_chat(completion: Mapping[str, Any], body: Mapping[str, Any]) -> Json:
    """The response that a whole ``chat.completion`` is, without usage; ``body``: the request it answers."""
    answer = Answer(body)
    answer.take(completion)
    answer.close()
    return answer.response()


class Answer:
    """Takes the chunks of a chat, or a whole one, and says what they are as a response."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self._names: Names | None = None
        self._frame: Json = {}
        self._items: list[Item] = []
        self._open: MessageItem | ReasoningItem | None = None
        self._calls = Calls()
        self._call_items: list[CallItem] = []
        self._finish: str | None = None

    def take(self, chunk: Mapping[str, Any]) -> list[Json]:
        """The next chunk; the events that it makes, without their numbers."""
        events = [] if self._names is not None else self._begin(chunk)
        for choice in chunk.get("choices") or ():
            if not choice.get("index"):
                events += self._follow(choice)
        return events

    def close(self) -> list[Json]:
        """It is complete. The last event, with the whole response in it, is the caller's to make."""
        events = self._begin({}) if self._names is None else []
        if not self._items:
            events += self._message()
            assert isinstance(self._open, MessageItem)
            events += self._open.say("output_text", "")
        return events + self._done()

    @property
    def status(self) -> str:
        """``completed`` or ``incomplete``."""
        return "incomplete" if self._finish in _INCOMPLETE else "completed"

    def response(self) -> Json:
        """The whole of it, once it is complete, without usage."""
        reason = _INCOMPLETE.get(self._finish or "")
        return {
            **self._frame,
            "status": self.status,
            "completed_at": None if reason else int(time.time()),
            "incomplete_details": {"reason": reason} if reason else None,
            "output": [item.value for item in self._items],
        }

    def _begin(self, chunk: Mapping[str, Any]) -> list[Json]:
        self._names = Names(chunk.get("id"))
        self._frame = frame(self._body, chunk, self._names.response())
        return [
            {"type": kind, "response": self._frame} for kind in ("response.created", "response.in_progress")
        ]

    def _follow(self, choice: Mapping[str, Any]) -> list[Json]:
        message = choice.get("message")
        delta = message or choice.get("delta") or {}
        events: list[Json] = []
        for name in _THOUGHTS:
            if isinstance(text := delta.get(name), str) and text:
                events += self._think(text)
                break
        if blocks := signed(delta.get("reasoning_details")):
            events += self._reasoning()
            assert isinstance(self._open, ReasoningItem)
            self._open.sign(blocks)
        if isinstance(text := delta.get("content"), str) and text:
            events += self._say("output_text", text, _logprobs(choice))
        if isinstance(text := delta.get("refusal"), str) and text:
            events += self._say("refusal", text, [])
        for annotation in delta.get("annotations") or ():
            events += self._annotate(annotation)
        for place, call in enumerate(delta.get("tool_calls") or ()):
            events += self._call({"index": place, **call} if message else call)
        if reason := choice.get("finish_reason"):
            self._finish = reason
            events += self._done() if self._items else []
        return events

    def _say(self, kind: str, text: str, logprobs: list[Json]) -> list[Json]:
        events = self._message()
        assert isinstance(self._open, MessageItem)
        return events + self._open.say(kind, text, logprobs)

    def _annotate(self, annotation: object) -> list[Json]:
        """A chat has what a citation says one level deeper."""
        cited = annotation.get(_CITATION) if isinstance(annotation, dict) else None
        if not isinstance(cited, dict):
            return []
        events = self._message()
        assert isinstance(self._open, MessageItem)
        return events + self._open.annotate({"type": _CITATION, **cited})

    def _think(self, text: str) -> list[Json]:
        events = self._reasoning()
        assert isinstance(self._open, ReasoningItem)
        return events + self._open.think(text)

    def _call(self, call: Mapping[str, Any]) -> list[Json]:
        """Calls stay open until the end: their pieces may come in turns."""
        assert self._names is not None
        function = call.get("function") or {}
        events: list[Json] = []
        place = self._calls.place(call)
        if place == len(self._call_items):
            item_id = self._names.call()
            call_id = call.get("id") or item_id.replace("fc_", "call_")
            events += self._shut()
            item = CallItem(len(self._items), item_id, call_id, function.get("name") or "")
            self._call_items.append(item)
            self._items.append(item)
            events.append(item.added())
        if arguments := function.get("arguments"):
            events += self._call_items[place].argue(arguments)
        return events

    def _message(self) -> list[Json]:
        """See that a message is open."""
        assert self._names is not None
        if isinstance(self._open, MessageItem):
            return []
        return self._add(MessageItem(len(self._items), self._names.message()))

    def _reasoning(self) -> list[Json]:
        """See that reasoning is open."""
        assert self._names is not None
        if isinstance(self._open, ReasoningItem):
            return []
        return self._add(ReasoningItem(len(self._items), self._names.reasoning()))

    def _add(self, item: MessageItem | ReasoningItem) -> list[Json]:
        events = self._shut()
        self._open = item
        self._items.append(item)
        return [*events, item.added()]

    def _shut(self) -> list[Json]:
        """What was open is complete, as another item begins."""
        item, self._open = self._open, None
        return [] if item is None else item.done("completed")

    def _done(self) -> list[Json]:
        """All items are complete; the last of them is cut off if the answer is."""
        self._open = None
        last = self._items[-1]
        return [
            event for item in self._items for event in item.done(self.status if item is last else "completed")
        ]


def frame(body: Mapping[str, Any], chunk: Mapping[str, Any], response_id: str) -> Json:
    """The response to ``body`` as it begins: what the client set, given back. Nothing of it is stored."""
    reasoning, text = body.get("reasoning") or {}, body.get("text") or {}
    return {
        "id": response_id,
        "object": "response",
        "created_at": chunk.get("created") or int(time.time()),
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "model": chunk.get("model") or body.get("model"),
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": chunk.get("service_tier") or body.get("service_tier") or "default",
        "store": False,
        "temperature": body.get("temperature"),
        "text": {"format": {"type": "text"}, **{name: text[name] for name in text if text[name] is not None}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": [_echoed(tool) for tool in body.get("tools") or ()],
        "top_logprobs": body.get("top_logprobs") or 0,
        "top_p": body.get("top_p"),
        "truncation": "disabled",
        "usage": None,
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _echoed(tool: Mapping[str, Any]) -> Json:
    """A function with all the fields that it has in an answer."""
    return {"description": None, "parameters": None, "strict": False, **tool}


def _logprobs(choice: Mapping[str, Any]) -> list[Json]:
    found = (choice.get("logprobs") or {}).get("content")
    return found if isinstance(found, list) else []
