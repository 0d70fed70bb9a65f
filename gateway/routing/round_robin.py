"""``round_robin``: each in its turn, as often as its weight says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.api import Candidate, Demand, Score
from gateway.routing.bounded import Bounded
from gateway.routing.ranking import POOL

EQUAL = 1e-9
"""Credits that differ by no more are equal: sums of weights such as 0.1 are not exact."""


@dataclass
class RoundRobin:
    """Cycles through a pool, smoothly where weights differ; what is missing for a while loses its turns."""

    def __post_init__(self) -> None:
        self._cycles: Bounded[Cycle] = Bounded(Cycle)

    def rank(self, candidates: Sequence[Candidate], demand: Demand, now: float) -> Sequence[Candidate]:
        """The one whose turn it is, then those that follow it in the pool."""
        if len(candidates) < 2:
            return candidates
        place = self._cycles[demand.pool].next(candidates)
        return [*candidates[place:], *candidates[:place]]

    def explain(self, candidates: Sequence[Candidate], demand: Demand, now: float) -> list[Score]:
        """In the order `rank` would give now; the one term is the place in it."""
        if not candidates:
            return []
        cycle = self._cycles.get(demand.pool) or Cycle()
        place = cycle.copy().next(candidates)
        order = [*candidates[place:], *candidates[:place]]
        return [Score(candidate, float(turn), {"turn": float(turn)}) for turn, candidate in enumerate(order)]


class Cycle:
    """Where a pool's cycle stands: what each candidate has earned towards its next turn."""

    __slots__ = ("_cursor", "_earned", "_heaviest", "_saved")

    def __init__(self) -> None:
        self._earned: dict[Candidate, float] = {}
        self._saved: dict[Candidate, float] = {}
        self._cursor = -1
        self._heaviest = 0.0

    def copy(self) -> Cycle:
        """Another cycle that stands where this one does."""
        twin = Cycle()
        twin._earned, twin._saved = dict(self._earned), dict(self._saved)
        twin._cursor, twin._heaviest = self._cursor, self._heaviest
        return twin

    def next(self, candidates: Sequence[Candidate]) -> int:
        """The place of the candidate whose turn it is."""
        most = 2 * len(candidates) + POOL
        if len(self._earned) > most or len(self._saved) > most:  # a reload made new ones
            self._earned = {key: self._earned.get(key, 0.0) for key in candidates}
            self._saved = {key: self._saved.get(key, 0.0) for key in candidates}
        return self._smooth(candidates) if len(candidates) <= POOL else self._walk(candidates)

    def _smooth(self, candidates: Sequence[Candidate]) -> int:
        """nginx's smooth weighted round robin: all earn their weight, the richest pays for all."""
        earned = self._earned
        total = richest = 0.0
        place = -1
        for index, candidate in enumerate(candidates):
            weight = candidate.weight
            total += weight
            earned[candidate] = wealth = earned.get(candidate, 0.0) + weight
            if place < 0 or wealth > richest + EQUAL:
                place, richest = index, wealth
        earned[candidates[place]] -= total
        return place

    def _walk(self, candidates: Sequence[Candidate]) -> int:
        """For large pools: go round until one has saved up a whole turn, the heaviest one at each visit.

        Costs the same for any size; shares are as exact as with `_smooth`, turns a little less even.
        """
        while True:
            heaviest = 0.0
            for _ in candidates:
                self._cursor = (self._cursor + 1) % len(candidates)
                candidate = candidates[self._cursor]
                heaviest = max(heaviest, candidate.weight)
                self._heaviest = max(self._heaviest, heaviest)
                savings = self._saved.get(candidate, 0.0) + candidate.weight / self._heaviest
                if savings >= 1:
                    self._saved[candidate] = savings - 1
                    return self._cursor
                self._saved[candidate] = savings
            self._heaviest = heaviest  # nobody in a whole round: the heaviest there was has gone
