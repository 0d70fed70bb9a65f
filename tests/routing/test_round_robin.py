"""round_robin: strict cycles, smooth weights, and pools that change."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Candidate
from gateway.api.testing.algorithms import DEMAND, NOW, candidate, pool
from gateway.routing.round_robin import RoundRobin


def turns(algorithm: RoundRobin, candidates: list[Candidate], times: int) -> list[str]:
    return [algorithm.rank(candidates, DEMAND, NOW)[0].key for _ in range(times)]


@pytest.mark.parametrize("size", [2, 5, 16, 17, 50])
def test_equal_weights_cycle_strictly(size: int) -> None:
    candidates = pool(size)
    assert turns(RoundRobin(), candidates, 3 * size) == [c.key for c in candidates] * 3


@pytest.mark.parametrize("weight", [0.1, 1 / 3, 7.0])
def test_the_size_of_equal_weights_does_not_matter(weight: float) -> None:
    candidates = [candidate(key, weight=weight) for key in "abcdefg"]
    assert "".join(turns(RoundRobin(), candidates, 7000)) == "abcdefg" * 1000


def test_weights_are_smooth() -> None:
    """The sequence of nginx's own commit message for 5, 1, 1."""
    candidates = [candidate("a", weight=5), candidate("b"), candidate("c")]
    assert "".join(turns(RoundRobin(), candidates, 14)) == "aabacaa" * 2


def test_the_rest_follows_in_the_order_of_the_pool() -> None:
    algorithm, candidates = RoundRobin(), pool(4)
    algorithm.rank(candidates, DEMAND, NOW)
    assert [c.key for c in algorithm.rank(candidates, DEMAND, NOW)] == ["k1", "k2", "k3", "k0"]


def test_who_was_missing_gets_no_more_than_its_turns() -> None:
    algorithm, candidates = RoundRobin(), pool(4)
    turns(algorithm, candidates, 8)
    assert Counter(turns(algorithm, candidates[:3], 30)) == {"k0": 10, "k1": 10, "k2": 10}
    assert Counter(turns(algorithm, candidates, 40)) == Counter({c.key: 10 for c in candidates})


@settings(max_examples=30, deadline=None)
@given(weights=st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0]), min_size=2, max_size=40))
def test_shares_are_those_of_the_weights(weights: list[float]) -> None:
    candidates = [candidate(str(place), weight=weight) for place, weight in enumerate(weights)]
    times = round(sum(weights)) * 20
    chosen = Counter(turns(RoundRobin(), candidates, times))
    for place, weight in enumerate(weights):
        assert abs(chosen[str(place)] - weight * times / sum(weights)) <= 3


def test_a_large_pool_goes_on_when_its_giant_has_gone() -> None:
    algorithm, small = RoundRobin(), pool(20)
    turns(algorithm, [candidate("giant", weight=1e9), *small], 25)
    assert set(turns(algorithm, small, 20)) == {c.key for c in small}


def test_a_reload_does_not_leave_old_candidates_behind() -> None:
    algorithm = RoundRobin()
    for size in [5, 30] * 50:
        turns(algorithm, pool(size), size)
    cycle = algorithm._cycles[DEMAND.pool]
    assert len(cycle._earned) + len(cycle._saved) <= 2 * (2 * 30 + 16) + 30


def test_explains_the_turns_to_come() -> None:
    algorithm, candidates = RoundRobin(), pool(3)
    turns(algorithm, candidates, 1)
    scores = algorithm.explain(candidates, DEMAND, NOW)
    assert [(score.candidate.key, score.total) for score in scores] == [("k1", 0), ("k2", 1), ("k0", 2)]
