"""The waiting room (``on_exhausted: queue``): lines of requests for the same keys, fair by client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from types import TracebackType
from typing import Self


class Queue:
    """Every line there is. Requests that may use the same keys stand in the same line."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, Line] = {}
        self.size = 0
        """Requests that wait."""

    def waits_at(self, keys: Hashable) -> bool:
        """Whether anyone waits in the line for ``keys``."""
        return keys in self._lines

    def join(self, keys: Hashable, client: str, until: float) -> Place:
        """A place at the end of the client's part of a line; ``until``: loop time when it is given up."""
        line = self._lines.get(keys)
        if line is None:
            line = self._lines[keys] = Line()
        place = Place(self, keys, client, until)
        line.clients.setdefault(client, deque()).append(place)
        self.size += 1
        return place

    def wake(self) -> None:
        """Something was given back: let the first of each line try again."""
        for line in list(self._lines.values()):
            line.call(again=True)

    def refused(self, place: Place, seconds: float) -> None:
        """``place`` found no room, and there will be none for ``seconds`` unless something is given back."""
        line = self._lines[place.keys]
        if line.called in (None, place):
            line.rest(seconds)

    def leave(self, place: Place) -> None:
        """Give a place up: served, or tired of waiting. Whoever is next may try."""
        line = self._lines[place.keys]
        waiting = line.clients[place.client]
        waiting.remove(place)
        self.size -= 1
        if line.called is place:
            line.called = None
            line.clients[place.client] = line.clients.pop(place.client)  # the next client's turn
        if not waiting:
            del line.clients[place.client]
        if line.clients:
            line.call()
        else:
            line.close()
            del self._lines[place.keys]


class Line:
    """Clients take turns; of each client, who came first. One at a time is called to try its luck."""

    def __init__(self) -> None:
        self.clients: dict[str, deque[Place]] = {}
        self.called: Place | None = None
        self._again = False
        self._timer: asyncio.TimerHandle | None = None

    def call(self, *, again: bool = False) -> None:
        """Let the first try, unless somebody is trying; ``again``: who is trying shall do so once more."""
        if self.called is not None:
            self._again = self._again or again
            return
        self.called = next(iter(self.clients.values()))[0]
        self.called.call()

    def rest(self, seconds: float) -> None:
        """Call the first again in ``seconds``; at once if something was given back while it tried."""
        self.called = None
        self.close()
        wait = 0.0 if self._again else seconds
        self._again = False
        self._timer = asyncio.get_running_loop().call_later(wait, self.call)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class Place:
    """One request's place in a line; to be left in any case (``with``)."""

    def __init__(self, queue: Queue, keys: Hashable, client: str, until: float) -> None:
        self._queue = queue
        self._turn: asyncio.Future[None] | None = None
        self.keys = keys
        self.client = client
        self.until = until

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.leave(self)

    async def turn(self, refused_for: float | None) -> bool:
        """Wait until it is this place's turn to try; False if its time is up before that.

        ``refused_for``: the last try, if there was one, found that there will be room in so many seconds.
        """
        loop = asyncio.get_running_loop()
        self._turn = loop.create_future()
        if refused_for is not None:
            self._queue.refused(self, refused_for)
        try:
            async with asyncio.timeout_at(self.until):
                await self._turn
        except TimeoutError:
            return False
        return True

    def call(self) -> None:
        """It is this place's turn."""
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)
