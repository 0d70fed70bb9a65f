"""Conformance suite for routing algorithms, and candidates to try them on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api import Algorithm, Candidate, Demand, Headroom, Health, Limits, Meter, Reading

NOW = 1000.0
DEMAND = Demand(input_tokens=300, output_tokens=200, pool="pool")


@dataclass(slots=True, eq=False)
class FixedMeter:
    """A meter that says what it is told to."""

    request_share: float = 0.0
    token_share: float = 0.0
    in_flight: int = 0
    subject: str = "key:p/k"
    limits: Limits = field(default_factory=Limits)
    valid_until: float = inf
    cooled_until: float = 0.0

    def refresh(self, now: float) -> None:
        """Whatever was used before ``valid_until`` has left by now."""
        self.request_share = self.token_share = 0.0
        self.valid_until = inf

    def readings(self) -> list[Reading]:
        return []


@dataclass(slots=True, eq=False)
class FixedHealth:
    """A health that says what it is told to."""

    latency: float = 0.0
    errors: float = 0.0

    def error_rate(self, now: float) -> float:
        return self.errors

    def peak(self, now: float) -> float:
        return self.latency


@dataclass(slots=True, eq=False)
class FixedHeadroom:
    """An upstream that announced this much to be used."""

    share: float = 0.0

    def used(self, now: float) -> float:
        return self.share


def candidate(
    key: str = "k",
    *,
    weight: float = 1.0,
    price: float | None = 2000.0,
    meter: Meter | None = None,
    health: Health | None = None,
    headroom: Headroom | None = None,
) -> Candidate:
    """A candidate without limits or history, at ``price`` nano-dollars per token, in and out."""
    meter, health, headroom = meter or FixedMeter(), health or FixedHealth(), headroom or FixedHeadroom()
    return Candidate("p", key, "m", weight, meter, health, price, price, headroom)


def pool(size: int) -> list[Candidate]:
    """So many candidates, all alike."""
    return [candidate(f"k{number}") for number in range(size)]


SETTINGS = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)
shares = st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.5])
mixed = st.builds(
    candidate,
    weight=st.sampled_from([0.5, 1.0, 2.0]),
    price=st.sampled_from([None, 0.0, 100.0, 2000.0]),
    meter=st.builds(FixedMeter, request_share=shares, token_share=shares, in_flight=st.integers(0, 3)),
    health=st.builds(
        FixedHealth,
        latency=st.sampled_from([0.0, 0.2, 1.0, 3.0]),
        errors=st.sampled_from([0.0, 0.1, 1.0]),
    ),
    headroom=st.builds(FixedHeadroom, share=st.sampled_from([0.0, 0.5, 1.0])),
)


class AlgorithmConformance:
    """What every algorithm must do: subclass it in a test module and say how to make yours."""

    def make_algorithm(self) -> Algorithm:
        """A fresh one. Chance in it should be seeded."""
        raise NotImplementedError

    @given(candidates=st.lists(mixed, max_size=20))
    @SETTINGS
    def test_ranks_and_explains_each_candidate_once(self, candidates: list[Candidate]) -> None:
        algorithm, before = self.make_algorithm(), list(candidates)
        for _ in range(3):
            assert Counter(algorithm.rank(candidates, DEMAND, NOW)) == Counter(before)
            explained = [score.candidate for score in algorithm.explain(candidates, DEMAND, NOW)]
            assert Counter(explained) == Counter(before)
        assert candidates == before

    @given(candidates=st.lists(mixed, min_size=1, max_size=16))
    @SETTINGS
    def test_explains_its_choice(self, candidates: list[Candidate]) -> None:
        algorithm = self.make_algorithm()
        scores = algorithm.explain(candidates, DEMAND, NOW)
        totals = [score.total for score in scores]
        assert totals == sorted(totals)
        for score in scores:
            assert sum(score.terms.values()) == pytest.approx(score.total)
        best = [score.candidate for score in scores if score.total == totals[0]]
        assert algorithm.rank(candidates, DEMAND, NOW)[0] in best

    @given(candidates=st.lists(mixed, min_size=2, max_size=20))
    @SETTINGS
    def test_explaining_changes_nothing(self, candidates: list[Candidate]) -> None:
        asked, unasked = self.make_algorithm(), self.make_algorithm()
        for _ in range(4):
            assert asked.explain(candidates, DEMAND, NOW) == asked.explain(candidates, DEMAND, NOW)
            assert list(asked.rank(candidates, DEMAND, NOW)) == list(unasked.rank(candidates, DEMAND, NOW))

    @pytest.mark.parametrize(("size", "tolerance"), [(2, 1), (3, 1), (16, 1), (17, 30), (40, 50)])
    def test_equal_candidates_share_the_load(self, size: int, tolerance: int) -> None:
        """Exactly up to 16; a sample of a larger pool may leave some to chance."""
        chosen = self.choices(pool(size), 100 * size)
        assert all(abs(chosen[f"k{number}"] - 100) <= tolerance for number in range(size)), chosen

    def test_pools_do_not_disturb_each_other(self) -> None:
        algorithm, one, other = self.make_algorithm(), pool(2), pool(2)
        chosen = Counter[Candidate]()
        for _ in range(10):
            chosen[algorithm.rank(one, Demand(1, 1, "one"), NOW)[0]] += 1
            chosen[algorithm.rank(other, Demand(1, 1, "other"), NOW)[0]] += 1
        assert set(chosen.values()) == {5}

    def choices(self, candidates: Sequence[Candidate], times: int) -> Counter[str]:
        """How often each key comes first."""
        algorithm = self.make_algorithm()
        return Counter(algorithm.rank(candidates, DEMAND, NOW)[0].key for _ in range(times))
