"""An event loop whose time is a `ManualClock`: it never waits, so hours pass in a moment and always alike."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Generator, Iterator, Set
from contextlib import contextmanager
from typing import Any, TypeVar

from gateway.api.testing.clock import ManualClock

T = TypeVar("T")


class ManualLoop(asyncio.SelectorEventLoop):
    """For code that only waits for time. With nothing left to do it moves the clock to its next timer.

    What waits for a server says so (`asking`): until the answer is there, time stands still.
    Raises `RuntimeError` where something is waited for that no timer will bring.
    """

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._asked: set[asyncio.Future[None]] = set()
        super().__init__(_ManualSelector(clock, self._asked))

    def time(self) -> float:
        return self._clock.now

    @contextmanager
    def asking(self) -> Iterator[None]:
        """No time passes within, and the loop runs on until it is over."""
        answered = self.create_future()
        self._asked.add(answered)
        try:
            yield
        finally:
            self._asked.remove(answered)
            answered.set_result(None)

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Its outcome, once no server is being asked in the background either."""
        outcome = super().run_until_complete(future)
        while self._asked:
            super().run_until_complete(next(iter(self._asked)))
            super().run_until_complete(idle())  # the answer is taken in
        return outcome


class _ManualSelector(selectors.SelectSelector):
    def __init__(self, clock: ManualClock, asked: Set[asyncio.Future[None]]) -> None:
        super().__init__()
        self._clock = clock
        self._asked = asked

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._asked and timeout != 0:
            return super().select()
        if timeout is None:
            raise RuntimeError("nothing left to wait for")
        if timeout > 0:
            self._clock.advance(timeout + 1e-9)  # a sum may round down, and the timer would never be due
        return super().select(0)


async def idle() -> None:
    """Let everything happen that waits for nothing but its turn."""
    for _ in range(20):
        await asyncio.sleep(0)
