"""The items of an answer on their way: what each adds up to, and the events that tell of it.

Source: the streaming events in OpenAI's API reference. Events are without their ``sequence_number``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gateway.dialects.responses.identity import seal

Json = dict[str, Any]


class Item(ABC):
    """One item of ``output``. ``value`` is what it is so far; each method returns events."""

    def __init__(self, index: int, value: Json) -> None:
        """``index``: its place in ``output``."""
        self.value = value
        self._index = index
        self._open = True

    def added(self) -> Json:
        """That it is there, empty."""
        return {"type": "response.output_item.added", "output_index": self._index, "item": dict(self.value)}

    def done(self, status: str) -> list[Json]:
        """That it is as it will be; once. ``status``: ``completed`` or ``incomplete``."""
        if not self._open:
            return []
        self._open = False
        events = self._finish()
        self._settle(status)
        return [
            *events,
            {"type": "response.output_item.done", "output_index": self._index, "item": self.value},
        ]

    def _event(self, kind: str, /, **fields: Any) -> Json:
        return {
            "type": f"response.{kind}",
            "item_id": self.value["id"],
            "output_index": self._index,
            **fields,
        }

    def _settle(self, status: str) -> None:
        self.value["status"] = status

    @abstractmethod
    def _finish(self) -> list[Json]:
        """Complete ``value``."""


class MessageItem(Item):
    """What the model says: texts and refusals."""

    _FIELDS: ClassVar[Mapping[str, str]] = {"output_text": "text", "refusal": "refusal"}

    def __init__(self, index: int, item_id: str) -> None:
        super().__init__(
            index,
            {"id": item_id, "type": "message", "status": "in_progress", "role": "assistant", "content": []},
        )
        self._parts: list[Json] = []
        self._pieces: list[str] = []  # of the last part

    def say(self, kind: str, text: str, logprobs: Sequence[Json] = ()) -> list[Json]:
        """More of a part, which is ``output_text`` or ``refusal``."""
        events = self._part_of(kind)
        self._pieces.append(text)
        place = len(self._parts) - 1
        if kind == "refusal":
            return [*events, self._event("refusal.delta", content_index=place, delta=text)]
        self._parts[place]["logprobs"] += logprobs
        fields = {"content_index": place, "delta": text, "logprobs": list(logprobs)}
        return [*events, self._event("output_text.delta", **fields)]

    def annotate(self, annotation: Json) -> list[Json]:
        """A citation in the text."""
        events = self._part_of("output_text")
        place = len(self._parts) - 1
        known = self._parts[place]["annotations"]
        known.append(annotation)
        fields = {"content_index": place, "annotation_index": len(known) - 1, "annotation": annotation}
        return [*events, self._event("output_text.annotation.added", **fields)]

    def _part_of(self, kind: str) -> list[Json]:
        """See that the last part is of ``kind``."""
        if self._parts and self._parts[-1]["type"] == kind:
            return []
        events = self._finish_part()
        part: Json = {"type": kind, self._FIELDS[kind]: ""}
        if kind == "output_text":
            part.update(annotations=[], logprobs=[])
        self._parts.append(part)
        place = len(self._parts) - 1
        return [*events, self._event("content_part.added", content_index=place, part=_copy(part))]

    def _finish_part(self) -> list[Json]:
        if not self._parts:
            return []
        part, place = self._parts[-1], len(self._parts) - 1
        kind = part["type"]
        text = part[self._FIELDS[kind]] = "".join(self._pieces)
        self._pieces.clear()
        if kind == "refusal":
            told = self._event("refusal.done", content_index=place, refusal=text)
        else:
            told = self._event("output_text.done", content_index=place, text=text, logprobs=part["logprobs"])
        return [told, self._event("content_part.done", content_index=place, part=part)]

    def _finish(self) -> list[Json]:
        events = self._finish_part()
        self.value["content"] = self._parts
        return events


class ReasoningItem(Item):
    """What the model thought, as far as its provider tells."""

    def __init__(self, index: int, item_id: str) -> None:
        super().__init__(index, {"id": item_id, "type": "reasoning", "summary": []})
        self._pieces: list[str] = []
        self._signed: list[Json] = []

    def think(self, text: str) -> list[Json]:
        """More of the one text there is of it."""
        events = []
        if not self._pieces:
            part = {"type": "summary_text", "text": ""}
            events.append(self._event("reasoning_summary_part.added", summary_index=0, part=part))
        self._pieces.append(text)
        return [*events, self._event("reasoning_summary_text.delta", summary_index=0, delta=text)]

    def sign(self, blocks: Sequence[Json]) -> None:
        """Blocks that the provider wants back as they are."""
        self._signed += blocks

    def _settle(self, status: str) -> None:
        """It has no status: a client sends it back, and not every server would take that field."""
        self.value["encrypted_content"] = seal(self._signed)

    def _finish(self) -> list[Json]:
        if not self._pieces:
            return []
        text = "".join(self._pieces)
        part = {"type": "summary_text", "text": text}
        self.value["summary"] = [part]
        return [
            self._event("reasoning_summary_text.done", summary_index=0, text=text),
            self._event("reasoning_summary_part.done", summary_index=0, part=part),
        ]


class CallItem(Item):
    """A call of a function."""

    def __init__(self, index: int, item_id: str, call_id: str, name: str) -> None:
        value = {"id": item_id, "type": "function_call", "status": "in_progress"}
        super().__init__(index, {**value, "call_id": call_id, "name": name, "arguments": ""})
        self._pieces: list[str] = []

    def argue(self, text: str) -> list[Json]:
        """More of its arguments."""
        self._pieces.append(text)
        return [self._event("function_call_arguments.delta", delta=text)]

    def _finish(self) -> list[Json]:
        arguments = self.value["arguments"] = "".join(self._pieces)
        fields = {"name": self.value["name"], "arguments": arguments}
        return [self._event("function_call_arguments.done", **fields)]


def _copy(part: Json) -> Json:
    """As it is now: its lists grow."""
    return {name: list(value) if isinstance(value, list) else value for name, value in part.items()}
