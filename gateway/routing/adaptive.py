"""``adaptive``: the better of two, by peak latency, requests in flight, errors, headroom and cost."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from operator import mul, sub

from gateway.api import Candidate, Demand, Score
from gateway.routing.bounded import Bounded
from gateway.routing.ranking import sample
from gateway.routing.round_robin import Cycle

TERMS = ("latency", "in_flight", "error_score", "headroom", "cost_ratio")
SLIGHT = 0.05
"""Seconds of latency below which nobody is quicker than another."""
UNPROVEN = 60.0
"""Seconds of latency that count while a new key's first answers are awaited, or if it only failed."""
CLEARLY = 0.9
"""What part of a score another must stay below to be better: smaller differences are noise."""
MOST = 0.99
"""Of windows and of failures: no factor grows beyond all measure."""


@dataclass
class Adaptive:
    """Compares two candidates and takes the one with the lower product of five factors: peak latency,
    requests in flight, errors, headroom and cost.

    One of the two is the one whose turn it is, the other is drawn from the rest by chance; both as often
    as their weights say. That never sends everyone to the same best one, and equals share exactly.
    """

    def __post_init__(self) -> None:
        self.random: Callable[[], float] = random.random
        self._cycles: Bounded[Cycle] = Bounded(Cycle)
        self._drawn: float | None = None

    def rank(self, candidates: Sequence[Candidate], demand: Demand, now: float) -> Sequence[Candidate]:
        """The better of two, the other, then the rest by room. Of more than 16 a sample is looked at."""
        if len(candidates) < 2:
            return candidates
        chance, self._drawn = self._chance(), None
        looked_at, rest = sample(candidates, self.random)
        drawn = _draw(looked_at, self._cycles[demand.pool], chance)
        return [*_ordered(looked_at, drawn, demand, now), *rest]

    def explain(self, candidates: Sequence[Candidate], demand: Demand, now: float) -> list[Score]:
        """In the order that `rank` would give now. ``turn`` is what a candidate with a lower score is behind
        another for: it is not one of the two, or not clearly better."""
        if not candidates:
            return []
        cycle = self._cycles.get(demand.pool) or Cycle()
        drawn = _draw(candidates, cycle.copy(), self._chance())
        measure = _measure([candidates[place] for place in drawn], demand)
        scores, behind = [], 0.0
        for candidate in _ordered(candidates, drawn, demand, now):
            terms = _terms(factors(candidate, demand, now, measure))
            total = sum(terms.values())
            behind = max(behind, total)
            scores.append(Score(candidate, behind, {**terms, "turn": behind - total}))
        return scores

    def _chance(self) -> float:
        """The number from 0 to 1 by which the next ranking draws: who asks beforehand hears the same."""
        if self._drawn is None:
            self._drawn = self.random()
        return self._drawn


def factors(
    candidate: Candidate, demand: Demand, now: float, measure: tuple[float, float]
) -> tuple[float, float, float, float, float]:
    """In the order of `TERMS`: seconds, and four factors of 1 and more. ``measure``: the cost and the weight
    that count as 1.

    An unknown latency counts `SLIGHT`, so that new keys get tried, but `UNPROVEN` while the key has
    requests in flight, so that not everyone tries the same one at once, or has failed of late. An unknown
    price counts as the dearest.
    """
    dearest, weight = measure
    flying, failed = candidate.meter.in_flight, candidate.health.error_rate(now)
    latency, cost = candidate.health.peak(now), _cost(candidate, demand)
    if latency < SLIGHT:
        latency = SLIGHT if latency or not (flying or failed) else UNPROVEN
    full, announced = _filled(candidate, now), candidate.headroom.used(now)
    if announced > full:
        full = announced
    return (
        latency,
        1 + flying * weight / candidate.weight,
        1 / (1 - failed) ** 2 if failed < MOST else 1 / (1 - MOST) ** 2,
        1 / (1 - full) if full < MOST else 1 / (1 - MOST),
        2.0 if cost < 0 or cost > dearest else 1 + cost / (dearest or 1.0),
    )


def _draw(candidates: Sequence[Candidate], turns: Cycle, chance: float) -> tuple[int, int]:
    """The places of the one whose turn it is and of another; the same one twice if there is no other."""
    first = second = turns.next(candidates)
    left = chance * (sum([candidate.weight for candidate in candidates]) - candidates[first].weight)
    for place, candidate in enumerate(candidates):
        if place != first:
            second = place
            left -= candidate.weight
            if left < 0:
                break
    return first, second


def _ordered(
    candidates: Sequence[Candidate], drawn: tuple[int, int], demand: Demand, now: float
) -> Sequence[Candidate]:
    """The better of the two that were drawn, the other one, then those with most room in their windows."""
    first, second = drawn
    if first == second:
        return candidates
    pair = candidates[first], candidates[second]
    measure = _measure(pair, demand)
    one, other = [prod(factors(each, demand, now, measure)) for each in pair]
    rest = [each for each in (*candidates[first:], *candidates[:first]) if each not in pair]
    rest.sort(key=lambda each: _filled(each, now))
    return [*(reversed(pair) if other < CLEARLY * one else pair), *rest]


def _measure(pair: Sequence[Candidate], demand: Demand) -> tuple[float, float]:
    """The cost of the dearer of the two and their mean weight."""
    one, other = pair
    return max(_cost(one, demand), _cost(other, demand)), (one.weight + other.weight) / 2


def _cost(candidate: Candidate, demand: Demand) -> float:
    """Nano-dollars; -1 where unknown."""
    read, written = candidate.input_price, candidate.output_price
    if read is None or written is None:
        return -1.0
    return read * demand.input_tokens + written * demand.output_tokens


def _filled(candidate: Candidate, now: float) -> float:
    """The used part of the fullest of its windows."""
    meter = candidate.meter
    if now >= meter.valid_until:
        meter.refresh(now)
    requests, tokens = meter.request_share, meter.token_share
    return requests if requests > tokens else tokens


def _terms(factors: Sequence[float]) -> dict[str, float]:
    """What each factor adds to the product of those before it."""
    products = list(accumulate(factors, mul))
    return dict(zip(TERMS, map(sub, products, [0.0, *products]), strict=False))
