"""Readers of Gemini's answers to a chat: whole bodies and event streams, as OpenAI values."""

from __future__ import annotations

from typing import Any

from gateway.api import Call, Chunk
from gateway.dialects import exact, lenient
from gateway.dialects.gemini_answer import Answer
from gateway.dialects.gemini_candidate import message
from gateway.dialects.gemini_signature import extra_content
from gateway.dialects.gemini_usage import usage_value
from gateway.dialects.lenient import Joiner
from gateway.dialects.reading import EventReading, WholeReading
from gateway.dialects.sse import Event

Json = dict[str, Any]

_CALL = b'"functionCall"'
"""In what holds tool calls; their arguments are the one place where numbers of any kind may stand."""


class WholeReader(Answer, WholeReading):
    """Reads the body of ``generateContent`` as one ``chat.completion``."""

    kind = "chat.completion"

    def _read(self, raw: bytes) -> Chunk | None:
        """The whole answer, or nothing and a fault."""
        try:
            answer = (exact if _CALL in raw else lenient).loads(raw)
            if isinstance(answer, list) and len(answer) == 1:
                answer = answer[0]
            taken = self.take(answer)
        except ValueError:
            self.invalid("no JSON that could be read")
            return None
        if self.fault is None and not taken:
            self.invalid("neither a candidate nor a blocked prompt")
        for choice, delta, _ in taken:
            if delta and choice.reason is None:
                choice.reason = "STOP"  # a body that is whole need not name the default
        if not self.end():
            return None
        value = self.value(
            [
                {
                    "index": choice.index,
                    "message": message(delta, choice.signature),
                    "logprobs": probabilities,
                    "finish_reason": choice.finish_reason,
                }
                for choice, delta, probabilities in taken
            ]
        )
        value["usage"] = usage_value(self.usage)
        return Chunk(value=value, content=True, usage=True)


class StreamReader(Answer, EventReading):
    """Reads ``streamGenerateContent?alt=sse`` as ``chat.completion.chunk`` values.

    Finish reasons and usage are given at the end: some models repeat both in every event.
    """

    kind = "chat.completion.chunk"
    streamed = True

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._include_usage = call.include_usage
        self._joiner = Joiner()
        self._started: set[int] = set()
        self._begun = False

    def finish(self) -> list[Chunk]:
        """The rest: finish reasons and, for a client that asked for it, usage."""
        chunks = self._read(self._events(None))
        if not self.end():
            return chunks
        for choice in self.choices.values():
            signature = choice.signature
            delta = {} if signature is None else {"extra_content": extra_content(signature)}
            chunks.append(Chunk(value=self._delta(choice.index, delta, choice.finish_reason, None)))
        if self._include_usage:
            value = self.value([])
            value["usage"] = usage_value(self.usage)
            chunks.append(Chunk(value=value, usage=True))
        return chunks

    def _read(self, events: list[Event]) -> list[Chunk]:
        chunks: list[Chunk] = []
        for event in events:
            try:
                self._look(event, chunks)
            except ValueError:
                self.invalid("no JSON that could be read")
            if self.fault is not None:
                break
        reasons = [choice.reason for choice in self.choices.values()]
        self.complete = self.fault is None and bool(reasons) and None not in reasons
        return chunks

    def _look(self, event: Event, chunks: list[Chunk]) -> None:
        data = event.data
        if not data and not self._begun and event.raw.lstrip()[:1] in (b"{", b"[", b"<"):
            data = event.raw  # no stream at all: an error, or somebody else's page
        if not data or data == b"[DONE]":
            return
        self._begun = True
        answer = exact.loads(data) if _CALL in data else self._joiner.loads(data)
        for piece in answer if isinstance(answer, list) else (answer,):
            for choice, delta, probabilities in self.take(piece):
                self._emit(choice.index, delta, probabilities, chunks)
            if self.fault is not None:
                break

    def _emit(self, index: int, delta: Json, probabilities: Json | None, chunks: list[Chunk]) -> None:
        if index not in self._started:
            self._started.add(index)
            content = None if "tool_calls" in delta and "content" not in delta else ""
            role: Json = {"role": "assistant", "content": content, "refusal": None}
            chunks.append(Chunk(value=self._delta(index, role, None, None)))
        if delta or probabilities is not None:
            value = self._delta(index, delta, None, probabilities)
            chunks.append(Chunk(value=value, content=True))

    def _delta(self, index: int, delta: Json, finish: str | None, probabilities: Json | None) -> Json:
        value = self.value(
            [{"index": index, "delta": delta, "logprobs": probabilities, "finish_reason": finish}]
        )
        if self._include_usage:
            value["usage"] = None
        return value
