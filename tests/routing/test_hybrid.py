"""hybrid: what the five terms are, what the weights do, and who gets a try."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from gateway.api import Candidate
from gateway.api.testing.algorithms import DEMAND, NOW, FixedHealth, FixedMeter, candidate, pool
from gateway.routing.hybrid import Hybrid


def terms(algorithm: Hybrid, candidates: list[Candidate]) -> dict[str, dict[str, float]]:
    """Each candidate's terms by its key."""
    return {s.candidate.key: dict(s.terms) for s in algorithm.explain(candidates, DEMAND, NOW)}


def first(algorithm: Hybrid, candidates: list[Candidate]) -> str:
    return algorithm.rank(candidates, DEMAND, NOW)[0].key


def test_terms_are_shares_rates_and_parts_of_the_highest() -> None:
    slow = candidate(
        "slow",
        price=1000.0,
        meter=FixedMeter(request_share=0.5, token_share=2.0),
        health=FixedHealth(latency=2.0, errors=0.3),
    )
    quick = candidate("quick", price=500.0, health=FixedHealth(latency=0.5))
    found = terms(Hybrid(), [slow, quick])
    assert found["slow"] == pytest.approx(
        {"req_ratio": 0.1, "token_ratio": 0.2, "error_score": 0.06, "latency": 0.2, "cost_ratio": 0.2}
    )
    assert found["quick"] == pytest.approx(
        {"req_ratio": 0, "token_ratio": 0, "error_score": 0, "latency": 0.2 * 0.3, "cost_ratio": 0.1}
    )


def test_cost_is_that_of_this_request() -> None:
    """300 tokens in and 200 out: dear output weighs less than its price alone says."""
    one = replace(candidate("one"), input_price=1.0, output_price=10.0)  # 2300
    two = replace(candidate("two"), input_price=4.0, output_price=1.0)  # 1400
    found = terms(Hybrid(), [one, two])
    assert found["two"]["cost_ratio"] == pytest.approx(0.2 * 1400 / 2300)


@pytest.mark.parametrize(
    ("priority", "weights"),
    [
        ("balanced", [0.2, 0.2, 0.2, 0.2, 0.2]),
        ("req", [0.5, 0.125, 0.125, 0.125, 0.125]),
        ("token", [0.125, 0.5, 0.125, 0.125, 0.125]),
        ("latency", [0.125, 0.125, 0.125, 0.5, 0.125]),
        ("cost", [0.125, 0.125, 0.125, 0.125, 0.5]),
    ],
)
def test_presets(priority: str, weights: list[float]) -> None:
    worst = candidate(
        meter=FixedMeter(request_share=1.5, token_share=1.5), health=FixedHealth(latency=1.0, errors=1.0)
    )
    assert list(terms(Hybrid(priority), [worst])["k"].values()) == pytest.approx(weights)


def test_explicit_weights_win_over_the_preset() -> None:
    cheap_and_slow = candidate("cheap", price=1.0, health=FixedHealth(latency=5.0))
    dear_and_quick = candidate("dear", price=100.0, health=FixedHealth(latency=0.5))
    candidates = [cheap_and_slow, dear_and_quick]
    assert first(Hybrid("cost"), candidates) == "cheap"
    assert first(Hybrid("latency"), candidates) == "dear"
    assert first(Hybrid("cost", {"cost_ratio": 0.0}), candidates) == "dear"


@pytest.mark.parametrize(
    ("priority", "weights", "message"),
    [
        ("speed", None, r"priority: must be one of balanced, .*\(got 'speed'\)"),
        ("cost", {"costs": 0.5}, "hybrid_weights.costs: unknown"),
        ("cost", {"latency": 1.5}, r"hybrid_weights.latency: must be from 0 to 1 \(got 1.5\)"),
    ],
)
def test_wrong_settings_are_named(priority: str, weights: dict[str, float] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Hybrid(priority, weights)


def test_equal_settings_are_equal_instances() -> None:
    """A reload keeps the instance, and its turns, where settings stay the same."""
    assert Hybrid("cost", {"latency": 0.1}) == Hybrid("cost", {"latency": 0.1})
    assert Hybrid("cost") != Hybrid("token")


def test_an_unknown_price_counts_as_the_dearest() -> None:
    assert first(Hybrid(), [candidate("unknown", price=None), candidate("known")]) == "unknown"
    candidates = [candidate("unknown", price=None), candidate("cheap", price=1.0), candidate("dear")]
    assert first(Hybrid(), candidates) == "cheap"


def test_a_new_key_is_tried_once_at_a_time() -> None:
    known = candidate("known", health=FixedHealth(latency=0.5))
    assert first(Hybrid(), [known, candidate("new")]) == "new"
    busy = candidate("new", meter=FixedMeter(in_flight=1), health=FixedHealth())
    known.meter.in_flight = 5
    scores = terms(Hybrid(), [known, busy])
    assert scores["new"]["latency"] == scores["known"]["latency"]


def test_latencies_that_differ_by_noise_are_equal() -> None:
    candidates = [candidate(str(n), health=FixedHealth(latency=1.0 - n / 100)) for n in range(4)]
    algorithm = Hybrid()
    assert {first(algorithm, candidates) for _ in range(4)} == {"0", "1", "2", "3"}


def test_equals_by_fewest_in_flight_then_in_turn() -> None:
    candidates = pool(4)
    for busy, flying in zip(candidates, [2, 1, 1, 3], strict=True):
        busy.meter.in_flight = flying
    algorithm = Hybrid()
    assert [first(algorithm, candidates) for _ in range(4)] == ["k1", "k2", "k1", "k2"]


def test_windows_slide_before_they_are_read() -> None:
    past = FixedMeter(request_share=1.0, token_share=1.0, valid_until=NOW)
    candidates = [candidate("other", meter=FixedMeter(token_share=0.1)), candidate("past", meter=past)]
    assert first(Hybrid(), candidates) == "past"


def test_the_best_of_a_large_pool_wins_whenever_it_is_in_the_sample() -> None:
    candidates = pool(64)
    candidates[40] = candidate("best", price=1.0)
    algorithm = Hybrid()
    algorithm.random = Random(7).random
    wins = sum(first(algorithm, candidates) == "best" for _ in range(1000))
    assert 90 < wins < 160  # 8 of 64


def test_milliseconds_do_not_set_equals_apart() -> None:
    quick, slow = (candidate(f"{ms}", health=FixedHealth(latency=ms / 1000)) for ms in (1, 2))
    assert {found["latency"] for found in terms(Hybrid(), [quick, slow]).values()} == {0.0}
    slower = candidate("30", health=FixedHealth(latency=0.03))
    assert first(Hybrid(), [slower, quick]) == "1"


def test_a_key_that_only_failed_is_not_tried_for_being_new() -> None:
    failing = candidate("failing", health=FixedHealth(errors=0.2))
    working = candidate("working", health=FixedHealth(latency=2.0))
    assert first(Hybrid(), [failing, working]) == "working"
