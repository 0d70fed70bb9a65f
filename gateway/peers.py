"""What the processes of one gateway ask and tell each other, be it one process or many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

Handler = Callable[[Any], Awaitable[Any]]
"""Takes what was told or asked about (None: nothing) and gives the answer, both as plain JSON values."""


class Answers(list[Any]):
    """What processes answered, in no order."""

    def __init__(self, answers: Iterable[Any], *, whole: bool = True) -> None:
        super().__init__(answers)
        self.whole = whole
        """False: the others could not be asked, and the one answer is our own."""


class Peers(Protocol):
    """All processes that serve requests, this one among them. Values are plain JSON."""

    def serve(self, topic: str, handler: Handler) -> None:
        """Answer ``topic`` by ``handler``; to be called before the first request is served."""

    async def gather(self, topic: str, payload: Any = None) -> Answers:
        """The answer of each process to ``payload``; without those that fail or take too long."""

    async def broadcast(self, topic: str, payload: Any) -> Answers:
        """Tell every process; returns as `gather`, once all have handled it or take too long."""


class Alone:
    """`Peers` where this is the only process."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def serve(self, topic: str, handler: Handler) -> None:
        """Answer ``topic`` by ``handler``."""
        self._handlers[topic] = handler

    async def gather(self, topic: str, payload: Any = None) -> Answers:
        """Our own answer."""
        return await self.broadcast(topic, payload)

    async def broadcast(self, topic: str, payload: Any) -> Answers:
        """Tell ourselves."""
        return Answers([await self._handlers[topic](payload)])
