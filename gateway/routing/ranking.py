"""What the algorithms that score have in common: samples of large pools, and how ties are broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gateway.api import Candidate

POOL = 16
"""How many candidates a pool may have to be scored whole."""
SAMPLE = 8
"""How many candidates of a larger pool are scored for one request."""


def sample(
    candidates: Sequence[Candidate], random: Callable[[], float]
) -> tuple[Sequence[Candidate], Sequence[Candidate]]:
    """The candidates to be scored and the rest.

    Of a pool above `POOL`, the neighbours from a random place on: each candidate is in the sample
    equally often, and the best of a random eight is good while not everyone runs to the same one.
    """
    size = len(candidates)
    if size <= POOL:
        return candidates, ()
    start = int(random() * size)
    end = start + SAMPLE
    if end <= size:
        return candidates[start:end], [*candidates[end:], *candidates[:start]]
    return [*candidates[start:], *candidates[: end - size]], candidates[end - size : start]


def ranked(
    candidates: Sequence[Candidate],
    scores: Sequence[float],
    turns: Iterator[int],
    rest: Sequence[Candidate] = (),
) -> list[Candidate]:
    """Lowest score first, then the ``rest``.

    Of several best the one with the fewest in flight, of several such each in turn.
    """
    order = sorted(range(len(scores)), key=scores.__getitem__)
    best = scores[order[0]]
    if scores[order[1]] == best:
        tied = [place for place in order if scores[place] == best]
        fewest = min([candidates[place].meter.in_flight for place in tied])
        idlest = [place for place in tied if candidates[place].meter.in_flight == fewest]
        first = idlest[next(turns) % len(idlest)]
        order.remove(first)
        order.insert(0, first)
    ranking = [candidates[place] for place in order]
    if rest:
        ranking += rest
    return ranking
