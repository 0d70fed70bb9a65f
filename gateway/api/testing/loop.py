"""An event loop whose time is a `ManualClock`: it never waits, so hours pass in a moment and always alike."""

from __future__ import annotations

import asyncio
import selectors

from gateway.api.testing.clock import ManualClock


class ManualLoop(asyncio.SelectorEventLoop):
    """For code that only waits for time. With nothing left to do it moves the clock to its next timer.

    Raises `RuntimeError` where something is waited for that no timer will bring.
    """

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        super().__init__(_ManualSelector(clock))

    def time(self) -> float:
        return self._clock.now


class _ManualSelector(selectors.SelectSelector):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing left to wait for")
        if timeout > 0:
            self._clock.advance(timeout + 1e-9)  # a sum may round down, and the timer would never be due
        return super().select(0)
