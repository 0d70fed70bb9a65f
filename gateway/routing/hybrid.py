"""``hybrid``: the lowest weighted sum of load, errors, latency and cost."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from gateway.api import Candidate, Demand, Score
from gateway.routing.bounded import Bounded
from gateway.routing.ranking import ranked, sample

TERMS = ("req_ratio", "token_ratio", "error_score", "latency", "cost_ratio")
SLIGHT = 0.05
"""Seconds of latency of which a tenth makes no difference to anyone."""
_FAVOURITES = {"req": "req_ratio", "token": "token_ratio", "latency": "latency", "cost": "cost_ratio"}


@dataclass
class Hybrid:
    """Takes the candidate with the lowest weighted sum of five terms, each from 0 to 1:

    ``req_ratio`` and ``token_ratio``, the shares of its windows in use; ``error_score``, its recent error
    rate; ``latency``, its recent latency and ``cost_ratio``, the expected cost of this request, both as
    parts of the highest among the candidates.
    """

    priority: str = "balanced"
    """``balanced``: 0.2 for each term. ``cost``, ``req``, ``token`` or ``latency``: 0.5 for that term, 0.125
    for the others."""
    hybrid_weights: Mapping[str, float] | None = None
    """Weights by term, 0 to 1; what is given here wins over ``priority``."""

    def __post_init__(self) -> None:
        self.random: Callable[[], float] = random.random
        self._turns: Bounded[Iterator[int]] = Bounded(count)
        if self.priority != "balanced" and self.priority not in _FAVOURITES:
            known = ", ".join(["balanced", *_FAVOURITES])
            raise ValueError(f"priority: must be one of {known} (got {self.priority!r})")
        favourite = _FAVOURITES.get(self.priority)
        usual = 0.2 if favourite is None else 0.125
        weights = {term: 0.5 if term == favourite else usual for term in TERMS}
        for term, weight in (self.hybrid_weights or {}).items():
            if term not in weights:
                raise ValueError(f"hybrid_weights.{term}: unknown; known are {', '.join(TERMS)}")
            if not 0 <= weight <= 1:
                raise ValueError(f"hybrid_weights.{term}: must be from 0 to 1 (got {weight})")
            weights[term] = weight
        self._weights = [weights[term] for term in TERMS]

    def rank(self, candidates: Sequence[Candidate], demand: Demand, now: float) -> Sequence[Candidate]:
        """Best first; equals by fewest in flight, then in turn. Of more than 16 a sample is scored."""
        if len(candidates) < 2:
            return candidates
        scored, rest = sample(candidates, self.random)
        return ranked(scored, scores(scored, demand, now, self._weights), self._turns[demand.pool], rest)

    def explain(self, candidates: Sequence[Candidate], demand: Demand, now: float) -> list[Score]:
        """Best first, all of them scored."""
        if not candidates:
            return []
        totals = scores(candidates, demand, now, self._weights)
        columns = [
            scores(candidates, demand, now, [weight if term == own else 0.0 for term in TERMS])
            for own, weight in zip(TERMS, self._weights, strict=True)
        ]
        explained = [
            Score(candidate, total, dict(zip(TERMS, values, strict=True)))
            for candidate, total, *values in zip(candidates, totals, *columns, strict=True)
        ]
        return sorted(explained, key=lambda score: (score.total, score.candidate.meter.in_flight))


def scores(
    candidates: Sequence[Candidate], demand: Demand, now: float, weights: Sequence[float]
) -> list[float]:
    """The weighted sum of the five terms, in the order of `TERMS`, for each candidate.

    An unknown price counts 1. An unknown latency counts 0, so that new keys get tried, but 1 while the
    key has requests in flight, so that not everyone tries the same one at once, or has failed of late: it
    is no new key. Latencies are rounded to tenths of the highest, and of `SLIGHT` at least: smaller
    differences are noise, and keys that are equal shall share the load.
    """
    by_requests, by_tokens, by_errors, by_latency, by_cost = weights
    inputs, outputs = demand.input_tokens, demand.output_tokens
    errors = [candidate.health.error_rate(now) for candidate in candidates]
    slowest = max([candidate.health.latency for candidate in candidates])
    tenths, by_tenth = 10 / max(slowest, SLIGHT), by_latency / 10
    costs = [
        -1.0
        if (read := candidate.input_price) is None or (written := candidate.output_price) is None
        else read * inputs + written * outputs
        for candidate in candidates
    ]
    dearest = max(costs)
    by_part = by_cost / dearest if dearest > 0 else 0.0
    sums = []
    for candidate, failed, cost in zip(candidates, errors, costs, strict=True):
        meter = candidate.meter
        if now >= meter.valid_until:
            meter.refresh(now)
        requests, tokens, latency = meter.request_share, meter.token_share, candidate.health.latency
        total = by_errors * failed
        total += by_requests * requests if requests < 1.0 else by_requests
        total += by_tokens * tokens if tokens < 1.0 else by_tokens
        total += by_part * cost if cost >= 0 else by_cost
        if latency:
            total += by_tenth * int(latency * tenths + 0.5)
        elif slowest and (failed or meter.in_flight):
            total += by_latency
        sums.append(total)
    return sums
