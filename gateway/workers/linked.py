"""`Peers` as a worker has them: through its supervisor."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from gateway.peers import Answers, Handler
from gateway.workers.channel import Channel

GATHER_SECONDS = 0.3
BROADCAST_SECONDS = 2.0
"""How long the supervisor waits for the answers of the workers."""
SUPERVISOR_SECONDS = 0.7
"""How much longer we wait for the supervisor, before we answer alone."""


class Linked:
    """Every worker, ourselves among them, is asked through the supervisor."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._handlers: dict[str, Handler] = {}

    def serve(self, topic: str, handler: Handler) -> None:
        """Answer ``topic`` by ``handler``."""
        self._handlers[topic] = handler

    async def gather(self, topic: str, payload: Any = None) -> Answers:
        """The answers that come within `GATHER_SECONDS`."""
        return await self._ask(topic, payload, GATHER_SECONDS)

    async def broadcast(self, topic: str, payload: Any) -> Answers:
        """The answers that come within `BROADCAST_SECONDS`."""
        return await self._ask(topic, payload, BROADCAST_SECONDS)

    async def answer(self, topic: str, payload: Any) -> Any:
        """This process's answer. Raises `KeyError` for a topic that nobody serves."""
        return await self._handlers[topic](payload)

    async def _ask(self, topic: str, payload: Any, seconds: float) -> Answers:
        question = {"topic": topic, "payload": payload, "seconds": seconds}
        try:
            async with asyncio.timeout(seconds + SUPERVISOR_SECONDS):
                return Answers(orjson.loads(await self._channel.call("gather", orjson.dumps(question))))
        except TimeoutError:
            return Answers([await self.answer(topic, payload)], whole=False)
