"""Answers given again: a whole response as a stream, and the whole response that a stream told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.dialects.replay import Inexact
from gateway.dialects.responses.stream import event
from gateway.dialects.sse import Event, Splitter

Json = dict[str, Any]

ENDS = frozenset({"response.completed", "response.incomplete"})
"""The events that tell the whole response, at its proper end."""
_UNBEGUN: Mapping[str, object] = {
    "status": "in_progress",
    "completed_at": None,
    "incomplete_details": None,
    "output": [],
    "usage": None,
}
_TEXTS = {"output_text": "text", "refusal": "refusal", "reasoning_text": "text"}
_INPUTS = {"function_call": ("function_call_arguments", "arguments")}
_INPUTS["custom_tool_call"] = ("custom_tool_call_input", "input")


def as_stream(response: Mapping[str, Any]) -> bytes:
    """The events that say what the whole ``response`` says, each text of it in one piece."""
    return b"".join([event(value, number) for number, value in enumerate(_told(response))])


def is_complete(response: Mapping[str, Any]) -> bool:
    """Whether it has come to its proper end, and is neither on its way nor failed."""
    return f"response.{response.get('status')}" in ENDS


def _told(response: Mapping[str, Any]) -> Iterator[Json]:
    unbegun = {**response, **{name: value for name, value in _UNBEGUN.items() if name in response}}
    yield {"type": "response.created", "response": unbegun}
    yield {"type": "response.in_progress", "response": unbegun}
    for index, item in enumerate(response["output"]):
        empty = {**item, **{name: kind() for name, kind in _empty(item)}}
        if "status" in item:
            empty["status"] = "in_progress"
        yield {"type": "response.output_item.added", "output_index": index, "item": empty}
        for name, fields in _pieces(item):
            yield {"type": f"response.{name}", "item_id": item.get("id"), "output_index": index, **fields}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{response.get('status', 'completed')}", "response": response}


def _empty(item: Mapping[str, Any]) -> Iterator[tuple[str, type[str] | type[list[Any]]]]:
    """What of an item is told in pieces, and the kind of value it is."""
    for name in ("content", "summary"):
        if isinstance(item.get(name), list):
            yield name, list
    if (told := _INPUTS.get(item.get("type", ""))) is not None and told[1] in item:
        yield told[1], str


def _pieces(item: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    for place, part in enumerate(_parts(item, "summary")):
        at, text = {"summary_index": place}, part.get("text", "")
        yield "reasoning_summary_part.added", {**at, "part": {**part, "text": ""}}
        yield "reasoning_summary_text.delta", {**at, "delta": text}
        yield "reasoning_summary_text.done", {**at, "text": text}
        yield "reasoning_summary_part.done", {**at, "part": part}
    for place, part in enumerate(_parts(item, "content")):
        yield from _part(part, {"content_index": place})
    if (told := _INPUTS.get(item.get("type", ""))) is not None and told[1] in item:
        name, field = told
        yield f"{name}.delta", {"delta": item[field]}
        yield f"{name}.done", {field: item[field], "name": item.get("name")}


def _parts(item: Mapping[str, Any], name: str) -> list[Json]:
    parts = item.get(name)
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _part(part: Json, at: Json) -> Iterator[tuple[str, Json]]:
    kind = part.get("type", "")
    field = _TEXTS.get(kind)
    if field is None:
        yield "content_part.added", {**at, "part": part}
    else:
        text = part.get(field, "")
        more: Json = {"logprobs": part.get("logprobs") or []} if kind == "output_text" else {}
        lists: Json = {name: [] for name in ("annotations", "logprobs") if name in part}
        yield "content_part.added", {**at, "part": {**part, field: "", **lists}}
        yield f"{kind}.delta", {**at, "delta": text, **more}
        for number, annotation in enumerate(part.get("annotations") or ()):
            told = {**at, "annotation_index": number, "annotation": annotation}
            yield "output_text.annotation.added", told
        yield f"{kind}.done", {**at, field: text, **more}
    yield "content_part.done", {**at, "part": part}


class Assembly:
    """Looks for the whole response in a stream as it comes."""

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._response: Json | None = None

    def feed(self, stream: bytes) -> None:
        """The next piece. Raises `Inexact`."""
        try:
            self._look(self._splitter.feed(stream))
        except ValueError as exc:
            raise Inexact(str(exc)) from exc

    def whole(self) -> Json:
        """The response that the last event holds. Raises `Inexact` if there is none."""
        try:
            self._look(self._splitter.finish())
        except ValueError as exc:
            raise Inexact(str(exc)) from exc
        if self._response is None:
            raise Inexact("no last event")
        return self._response

    def _look(self, events: list[Event]) -> None:
        for each in events:
            if each.name and each.name.decode("utf-8", "replace") not in ENDS:
                continue
            value = orjson.loads(each.data) if each.data.startswith(b"{") else {}
            response = value.get("response")
            if value.get("type") in ENDS and isinstance(response, dict) and _is_told(response.get("output")):
                self._response = response


def _is_told(output: object) -> bool:
    return isinstance(output, list) and all(isinstance(item, dict) for item in output)
