"""The waiting room (``on_exhausted: queue``): who waits for a key is let in fairly by client."""

from __future__ import annotations

import asyncio
from collections import deque


class Queue:
    """Waiters by client. Whoever's time has come is let in round-robin over the clients."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[float, asyncio.Future[None]]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.size = 0

    async def wait(self, client: str, seconds: float) -> None:
        """Wait for ``seconds`` and then for one's turn. Cancelling gives the place up."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(client, deque()).append((due, turn))
        self.size += 1
        self._schedule(due)
        try:
            await turn
        finally:
            self.size -= 1

    def _schedule(self, due: float) -> None:
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._timer_at = due
        self._timer = asyncio.get_running_loop().call_at(due, self._let_in)

    def _let_in(self) -> None:
        """One waiter of each client after the other, as long as any is due."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        moved = True
        while moved:
            moved = False
            for client in list(self._waiting):
                line = self._waiting.pop(client)
                while line and line[0][1].done():
                    line.popleft()
                if line and line[0][0] <= now:
                    line.popleft()[1].set_result(None)
                    moved = True
                if line:
                    self._waiting[client] = line  # at the end: the next client's turn
        if self._waiting:
            self._schedule(min(due for line in self._waiting.values() for due, _ in line))
