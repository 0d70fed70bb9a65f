"""Affinity: who is remembered, how long, and when another is better after all."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from gateway.api import Algorithm, Candidate
from gateway.api.testing.algorithms import DEMAND, NOW, FixedHealth, candidate, pool
from gateway.routing.adaptive import Adaptive
from gateway.routing.affinity import Affinity, LastUses
from gateway.routing.hybrid import Hybrid

ASKED = replace(DEMAND, prefix="one")
TTL, SKEW = 300.0, 1.25


def affine(algorithm: Algorithm | None = None) -> Affinity:
    return Affinity(algorithm or Hybrid(), LastUses(), TTL, SKEW)


def first(algorithm: Affinity, candidates: list[Candidate], now: float = NOW, prefix: str = "one") -> str:
    return algorithm.rank(candidates, replace(DEMAND, prefix=prefix), now)[0].key


@pytest.mark.parametrize("inner", [Hybrid, Adaptive])
def test_the_key_used_last_comes_first(inner: type[Algorithm]) -> None:
    candidates, algorithm = pool(5), affine(inner())
    for last in (candidates[3], candidates[1]):
        algorithm.uses.note("one", last, NOW)
        for _ in range(10):
            ranked = algorithm.rank(candidates, ASKED, NOW)
            assert ranked[0] is last
            assert set(ranked) == set(candidates)
    others = {first(algorithm, candidates, prefix="other") for _ in range(30)}
    assert others == {each.key for each in candidates}
    assert {first(algorithm, candidates, prefix="") for _ in range(30)} == others


def test_for_so_long() -> None:
    candidates, algorithm = pool(3), affine()
    algorithm.uses.note("one", candidates[2], NOW)
    assert {first(algorithm, candidates, NOW + TTL - 1) for _ in range(9)} == {"k2"}
    assert {first(algorithm, candidates, NOW + TTL) for _ in range(9)} == {"k0", "k1", "k2"}


@pytest.mark.parametrize("inner", [Hybrid(hybrid_weights={"cost_ratio": 0.0}), Adaptive()])
@pytest.mark.parametrize(("latency", "kept"), [(1.2, True), (1.4, False)])
def test_while_its_score_is_near_the_best(inner: Algorithm, latency: float, kept: bool) -> None:
    quick, last = (candidate(key, health=FixedHealth(of)) for key, of in (("quick", 1.0), ("last", latency)))
    algorithm = affine(inner)
    algorithm.uses.note("one", last, NOW)
    assert {first(algorithm, [quick, last]) for _ in range(5)} == {"last" if kept else "quick"}


def test_one_that_cannot_be_used_is_not_missed() -> None:
    candidates, algorithm = pool(3), affine()
    algorithm.uses.note("one", candidates[2], NOW)
    assert first(algorithm, candidates[:2]) in ("k0", "k1")
    assert first(algorithm, candidates[:1]) == "k0"
    assert algorithm.rank([], ASKED, NOW) == []


@pytest.mark.parametrize("inner", [Hybrid, Adaptive])
def test_it_explains_what_it_does(inner: type[Hybrid | Adaptive]) -> None:
    dice = Random(3)
    algorithm = affine(inner())
    for _ in range(200):
        candidates = [candidate(f"k{n}", health=FixedHealth(dice.choice([0.5, 0.6, 1.0]))) for n in range(4)]
        algorithm.uses.note("one", dice.choice(candidates), NOW)
        scores = algorithm.explain(candidates, ASKED, NOW)
        totals = [score.total for score in scores]
        assert totals == sorted(totals)
        assert all(sum(score.terms.values()) == pytest.approx(score.total) for score in scores)
        assert len({frozenset(score.terms) for score in scores}) == 1
        best = [score.candidate for score in scores if score.total == totals[0]]
        assert algorithm.rank(candidates, ASKED, NOW)[0] in best


def test_terms_have_the_same_names_whether_one_is_kept_or_not() -> None:
    candidates, algorithm = pool(2), affine()
    before = algorithm.explain(candidates, ASKED, NOW)
    algorithm.uses.note("one", candidates[1], NOW)
    kept = algorithm.explain(candidates, ASKED, NOW)
    assert kept[0].candidate is candidates[1] and kept[0].terms["affinity"] < 0
    assert {frozenset(score.terms) for score in (*before, *kept)} == {frozenset(before[0].terms)}


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    uses, (one, other) = LastUses(most=2), pool(2)
    for prefix in ("a", "b", "a", "c"):
        uses.note(prefix, one, NOW)
    found = {prefix: uses.find(prefix, [other, one], NOW - 1) for prefix in "abc"}
    assert found == {"a": one, "b": None, "c": one}
