"""Affinity: conversations that begin alike stay with one key, whose upstream has their beginning cached."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gateway.api import Algorithm, Candidate, Demand, Score

MOST = 10_000
"""Beginnings that are remembered; the ones used least recently go first."""


class Use(NamedTuple):
    """Who answered last, and when (monotonic seconds)."""

    provider: str
    key: str
    model: str
    at: float


@dataclass(slots=True)
class LastUses:
    """Which candidate answered last, by `Demand.prefix`."""

    most: int = MOST
    _uses: OrderedDict[str, Use] = field(default_factory=OrderedDict)

    def note(self, prefix: str, candidate: Candidate, now: float) -> None:
        """``candidate`` has answered."""
        self._uses[prefix] = Use(candidate.provider, candidate.key, candidate.model, now)
        self._uses.move_to_end(prefix)
        if len(self._uses) > self.most:
            self._uses.popitem(last=False)

    def find(self, prefix: str, candidates: Sequence[Candidate], since: float) -> Candidate | None:
        """The one of ``candidates`` that answered last, if that was after ``since``."""
        use = self._uses.get(prefix)
        if use is None or use.at <= since:
            return None
        return next((each for each in candidates if (each.provider, each.key, each.model) == use[:3]), None)


@dataclass(slots=True)
class Affinity:
    """An algorithm that puts the candidate used last first, while its score is not much above the best."""

    algorithm: Algorithm
    uses: LastUses
    ttl: float
    """Seconds."""
    max_skew: float
    """How many times the best score the one used last may have."""

    def rank(self, candidates: Sequence[Candidate], demand: Demand, now: float) -> Sequence[Candidate]:
        """The candidate used last, then the others by their scores; else as the algorithm has it."""
        last = self._last(candidates, demand, now)
        if last is not None and (scores := self._kept(last, self.algorithm.explain(candidates, demand, now))):
            return [score.candidate for score in scores]
        return self.algorithm.rank(candidates, demand, now)

    def explain(self, candidates: Sequence[Candidate], demand: Demand, now: float) -> list[Score]:
        """In the order that `rank` would give now. ``affinity`` is what puts the one used last first."""
        scores = [
            replace(score, terms={**score.terms, "affinity": 0.0})
            for score in self.algorithm.explain(candidates, demand, now)
        ]
        last = self._last(candidates, demand, now)
        return scores if last is None else self._kept(last, scores) or scores

    def _last(self, candidates: Sequence[Candidate], demand: Demand, now: float) -> Candidate | None:
        if not demand.prefix or len(candidates) < 2:
            return None
        return self.uses.find(demand.prefix, candidates, now - self.ttl)

    def _kept(self, last: Candidate, scores: list[Score]) -> list[Score] | None:
        """The scores, that of ``last`` first and divided by `max_skew`; None if it is too high for that."""
        score = next(score for score in scores if score.candidate is last)
        # With adaptive one that is merely not among the two of this time is none the worse for that.
        total = (score.total - score.terms.get("turn", 0.0)) / self.max_skew
        if total > scores[0].total:
            return None
        first = Score(last, total, {**score.terms, "affinity": total - score.total})
        return [first, *(each for each in scores if each is not score)]
