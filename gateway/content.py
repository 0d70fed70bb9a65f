"""What a request asked and what it was answered, for its line in the request log and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from gateway.dialects.client import Assembler
from gateway.dialects.replay import Inexact
from gateway.logs import harmless
from gateway.masking import SLICE, Masking, Slices
from gateway.redact import Redactor

BOUND = 64 * 1024
"""Bytes of JSON that a line has of a request, and of an answer; of a longer one it has the beginning."""
STREAM_BOUND = 1024 * 1024
"""Bytes of a stream that are kept to put them together; of a longer one the line has the beginning."""


class Content:
    """Gathered while the request is served, as it is; made fit for a line when the line is made."""

    __slots__ = ("_answer", "_asked", "_assembly", "_redactors", "_streamed", "_whole", "size")

    def __init__(
        self, asked: bytes, assembly: Callable[[], Assembler], redactors: Sequence[Redactor]
    ) -> None:
        """``asked``: the request's body; ``assembly`` makes what puts its stream together; ``redactors``: of
        all secrets that must not be seen."""
        self._assembly = assembly
        self._redactors = redactors
        self._asked = _start(asked)
        self._answer = b""
        self._streamed: list[bytes] = []
        self._whole = True
        self.size = len(self._asked)
        """Bytes that are kept."""

    def answered(self, answer: bytes) -> None:
        """The answer, in one piece."""
        self._answer = _start(answer)
        self.size += len(self._answer)

    def streamed(self, data: bytes) -> None:
        """The next events of the answer. Once there are too many the beginning is kept."""
        if not self._whole:
            return
        self._streamed.append(data)
        self.size += len(data)
        if len(self._asked) + STREAM_BOUND < self.size:
            self._whole = False
            self._streamed = [_start(b"".join(self._streamed))]
            self.size = len(self._asked) + len(self._streamed[0])

    def forget(self) -> None:
        """Keep none of it: there is too much."""
        self._asked = self._answer = b""
        self._streamed.clear()
        self.size = 0

    async def encoded(self) -> bytes:
        """As JSON in one line, without credentials."""
        slices = Slices()
        masking = Masking(self._redactors, slices)
        answer = await self._assembled(slices) if self._streamed else self._answer
        shown = {"request": await _shown(self._asked, masking), "answer": await _shown(answer, masking)}
        return harmless(orjson.dumps(shown))

    async def _assembled(self, slices: Slices) -> bytes:
        """The answer that the stream made; the stream, where that cannot be said exactly."""
        stream = b"".join(self._streamed)
        if not self._whole:
            return stream
        assembly = self._assembly()
        try:
            for start in range(0, len(stream), SLICE):
                assembly.feed(stream[start : start + SLICE])
                await slices.spend(SLICE)
            return orjson.dumps(assembly.whole())
        except Inexact:
            return stream


def _start(data: bytes) -> bytes:
    """``data``, or a byte more of it than a line has."""
    return data[: BOUND + 1]


async def _shown(data: bytes, masking: Masking) -> Any:
    """JSON as the value it is; what is too long, or none, as text; nothing as None."""
    if not data:
        return None
    if len(data) <= BOUND:
        try:
            value = orjson.loads(data)
            written = orjson.dumps(value).decode()
        except (ValueError, TypeError):  # none, or deeper than can be written
            return await masking.text(data.decode("utf-8", "replace"))
        return await masking.json(value, written)
    return await masking.text(data[:BOUND].decode("utf-8", "ignore") + "…")
