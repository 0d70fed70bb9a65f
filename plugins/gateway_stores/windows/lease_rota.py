"""When windows that are leased are exchanged in the background, though nobody waits for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count, islice

from gateway_stores.windows.leased_meter import LeasedMeter

TICK = 0.1
"""Seconds between exchanges in the background."""
BEAT = 1.0
"""Seconds after which a subject in use is asked for though it need not be, to learn how the authority is."""


class Rota:
    """The meters that are awake, and whose turn it is. ``most``: how many have it at once, ``known``: all
    that there are."""

    def __init__(self, clock: Callable[[], float], known: Mapping[str, LeasedMeter], most: int) -> None:
        self._clock = clock
        self._known = known
        self._most = most
        self.awake: dict[LeasedMeter, None] = {}
        self.doubted = False
        """To find out how the authority is, as soon as there is a limit to ask for."""
        self._watched: dict[LeasedMeter, None] = {}
        """Those of them that are looked at with every tick."""
        self._resting: list[tuple[float, int, LeasedMeter]] = []
        """A heap of the others, by the time (of our clock) until which no exchange is of use."""
        self._numbers = count()
        self._due: deque[LeasedMeter] = deque()
        self._tick_at = self._beat_at = 0.0

    def rouse(self, meter: LeasedMeter) -> bool:
        """The meter takes part from now on. Whether the next tick comes earlier by that."""
        meter.asleep = False
        first = not self._watched
        self.awake[meter] = self._watched[meter] = None
        return first

    def exchanging(self, meters: Iterable[LeasedMeter], now: float) -> None:
        """These are exchanged now (loop time)."""
        self.doubted = False
        self._beat_at = now + BEAT
        for meter in meters:
            if meter.asleep:
                self.rouse(meter)

    def watch(self, meters: Iterable[LeasedMeter]) -> None:
        """Look at these with the next tick: they have been answered."""
        self._watched.update(dict.fromkeys(meters))

    def turn(self, now: float, waited_for: Iterable[LeasedMeter]) -> Sequence[LeasedMeter]:
        """Those to exchange for at ``now`` (loop time): the first ``waited_for``, then those that are due, or
        else any one if the authority is doubted."""
        if now >= self._tick_at and not self._due:
            self._tick_at = now + TICK
            self._look(self._clock())
            if now >= self._beat_at and self.awake and not self._due:
                meter = next(iter(self.awake))
                self.awake[meter] = self.awake.pop(meter)  # the last to have a turn again
                self._due.append(meter)
        chosen = dict.fromkeys(islice(waited_for, self._most))
        while self._due and len(chosen) < self._most:
            chosen[self._due.popleft()] = None
        if self.doubted and not chosen:
            chosen.update(dict.fromkeys(islice((one for one in self._known.values() if one.limited), 1)))
        return list(chosen)

    def look_at(self, now: float) -> float:
        """When (loop time) to look again: with the next tick, if only because of those that rest."""
        if self._watched or not self._resting:
            return self._tick_at
        rest = self._resting[0][0] - self._clock()
        return max(self._tick_at, min(now + rest, self._beat_at))

    def _look(self, now: float) -> None:
        """Find those that are due, that rest and that have fallen asleep."""
        while self._resting and self._resting[0][0] <= now:
            moment, _, meter = heappop(self._resting)
            if moment == meter.rests_until:  # it has not been asked for in the meantime
                self._watched[meter] = None
        for meter in list(self._watched):
            if meter.due(now):
                self._due.append(meter)
            elif meter.asleep:
                del self._watched[meter], self.awake[meter]
            elif meter.rests_until > now:
                del self._watched[meter]
                heappush(self._resting, (meter.rests_until, next(self._numbers), meter))
