"""``least_loaded``: the lowest share of the token window in use."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from gateway.api import Candidate, Demand, Score
from gateway.routing.bounded import Bounded
from gateway.routing.ranking import ranked, sample


@dataclass
class LeastLoaded:
    """Takes the lowest share of the fuller token window, then the fewest in flight, then each in turn."""

    def __post_init__(self) -> None:
        self.random: Callable[[], float] = random.random
        self._turns: Bounded[Iterator[int]] = Bounded(count)

    def rank(self, candidates: Sequence[Candidate], demand: Demand, now: float) -> Sequence[Candidate]:
        """Best first. Of more than 16 a sample is compared."""
        if len(candidates) < 2:
            return candidates
        compared, rest = sample(candidates, self.random)
        return ranked(compared, _shares(compared, now), self._turns[demand.pool], rest)

    def explain(self, candidates: Sequence[Candidate], demand: Demand, now: float) -> list[Score]:
        """Best first, all of them compared."""
        scores = [
            Score(candidate, share, {"token_ratio": share})
            for candidate, share in zip(candidates, _shares(candidates, now), strict=True)
        ]
        return sorted(scores, key=lambda score: (score.total, score.candidate.meter.in_flight))


def _shares(candidates: Sequence[Candidate], now: float) -> list[float]:
    shares = []
    for candidate in candidates:
        meter = candidate.meter
        if now >= meter.valid_until:
            meter.refresh(now)
        shares.append(meter.token_share)
    return shares
