"""adaptive: what its factors are, and who gets the traffic, simulated with a clock and dice of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from heapq import heappop, heappush
from random import Random

import pytest

from gateway.api import Candidate
from gateway.api.testing.algorithms import (
    DEMAND,
    NOW,
    FixedHeadroom,
    FixedHealth,
    FixedMeter,
    candidate,
    pool,
)
from gateway.routing.adaptive import CLEARLY, SLIGHT, UNPROVEN, Adaptive
from gateway.routing.health import KeyModelHealth


def adaptive() -> Adaptive:
    algorithm = Adaptive()
    algorithm.random = Random(1).random
    return algorithm


def firsts(candidates: list[Candidate], times: int = 100) -> Counter[str]:
    """How often each key comes first while nothing changes."""
    algorithm = adaptive()
    return Counter(algorithm.rank(candidates, DEMAND, NOW)[0].key for _ in range(times))


def terms(candidates: list[Candidate]) -> dict[str, dict[str, float]]:
    """Each candidate's terms by its key."""
    return {s.candidate.key: dict(s.terms) for s in adaptive().explain(candidates, DEMAND, NOW)}


class Traffic:
    """Requests at a steady rate to upstreams that take so many seconds, a fifth more or less, and fail so
    often, as the routing of the moment has it."""

    def __init__(self, seconds: dict[str, float], fails: dict[str, float] | None = None) -> None:
        self.seconds = seconds
        self.fails = fails or {}
        self.healths = {key: KeyModelHealth() for key in seconds}
        self.candidates = {key: candidate(key, health=self.healths[key]) for key in seconds}
        self._algorithm = adaptive()
        self._dice = Random(2)
        self._now = NOW
        self._ends: list[tuple[float, float, str]] = []

    def run(self, requests: int, per_second: float = 10.0) -> Counter[str]:
        """Who got them."""
        found = Counter[str]()
        for _ in range(requests):
            self._now += 1 / per_second
            while self._ends and self._ends[0][0] <= self._now:
                self._end(*heappop(self._ends))
            key = self._algorithm.rank(list(self.candidates.values()), DEMAND, self._now)[0].key
            self.candidates[key].meter.in_flight += 1
            took = self.seconds[key] * self._dice.uniform(0.8, 1.2)
            heappush(self._ends, (self._now + took, took, key))
            found[key] += 1
        return found

    def _end(self, now: float, took: float, key: str) -> None:
        self.candidates[key].meter.in_flight -= 1
        if self._dice.random() < self.fails.get(key, 0.0):
            self.healths[key].record_failure(now)
        else:
            self.healths[key].record_success(now, took)


def test_a_slow_key_gets_less() -> None:
    found = Traffic({"slow": 4.0, "quick": 0.5}).run(2000)
    assert 0 < found["slow"] < 300, found


def test_equal_keys_get_equal_shares() -> None:
    found = Traffic(dict.fromkeys("abcd", 1.0)).run(2000)
    assert all(400 < found[key] < 600 for key in "abcd"), found


def test_shares_follow_the_weights() -> None:
    traffic = Traffic(dict.fromkeys("abc", 1.0))
    for key, weight in {"a": 30.0, "b": 10.0, "c": 10.0}.items():
        traffic.candidates[key] = replace(traffic.candidates[key], weight=weight)
    found = traffic.run(2000)
    assert 1000 < found["a"] < 1400 and abs(found["b"] - found["c"]) < 100, found


def test_a_key_that_fails_gets_less() -> None:
    found = Traffic(dict.fromkeys(("bad", "good", "better"), 1.0), {"bad": 0.5}).run(2000)
    assert 0 < found["bad"] < 400, found


def test_a_key_that_recovers_comes_back() -> None:
    traffic = Traffic({"a": 1.0, "b": 8.0}, {"b": 0.5})
    assert traffic.run(1000)["b"] < 200
    traffic.seconds["b"], traffic.fails = 1.0, {}
    traffic.run(2000)
    assert 400 < traffic.run(1000)["b"] < 600


def test_a_new_key_is_tried_and_not_flooded() -> None:
    traffic = Traffic({"old": 1.0, "older": 1.0})
    traffic.run(500)
    traffic.seconds["new"] = 5.0
    traffic.healths["new"] = KeyModelHealth()
    traffic.candidates["new"] = candidate("new", health=traffic.healths["new"])
    assert traffic.run(30)["new"] == 1  # within three seconds, before its first answer
    assert traffic.run(600)["new"] < 120


def test_a_key_whose_headroom_is_nearly_used_up_gets_less() -> None:
    known = FixedHealth(latency=1.0)
    scarce = candidate("scarce", health=known, headroom=FixedHeadroom(0.95))
    roomy = candidate("roomy", health=known, headroom=FixedHeadroom(0.1))
    assert firsts([scarce, roomy]) == {"roomy": 100}
    own = candidate("own", health=known, meter=FixedMeter(token_share=0.9))
    assert firsts([own, roomy]) == {"roomy": 100}


def test_a_dear_key_gets_less() -> None:
    known = FixedHealth(latency=1.0)
    dear, cheap = candidate("dear", price=2000.0, health=known), candidate("cheap", price=500.0, health=known)
    assert firsts([dear, cheap]) == {"cheap": 100}
    assert firsts([dear, candidate("unknown", price=None, health=known)]) == {"dear": 50, "unknown": 50}
    quick = candidate("quick", price=2000.0, health=FixedHealth(latency=0.4))
    assert firsts([quick, cheap]) == {"quick": 100}


def test_the_second_is_drawn_from_all_the_others() -> None:
    """Of ten that are the worse the further back, each but the last is the better of some two."""
    candidates = [candidate(f"k{n}", health=FixedHealth(latency=1.2**n)) for n in range(10)]
    found = firsts(candidates, 1000)
    expected = {f"k{n}": 1000 * 2 * (9 - n) / 90 for n in range(10)}  # pairs in which it is the better
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=40)


def test_terms_are_seconds_that_add_up() -> None:
    one = candidate(
        "one",
        meter=FixedMeter(in_flight=2),
        health=FixedHealth(latency=1.0, errors=0.5),
        headroom=FixedHeadroom(0.5),
    )
    other = candidate("other", price=500.0, health=FixedHealth(latency=2.0))
    found = terms([one, other])
    assert found["one"] == pytest.approx(
        {"latency": 1, "in_flight": 2, "error_score": 9, "headroom": 12, "cost_ratio": 24, "turn": 0}
    )
    assert found["other"] == pytest.approx(
        {"latency": 2, "in_flight": 0, "error_score": 0, "headroom": 0, "cost_ratio": 0.5, "turn": 0}
    )


def test_what_is_unknown() -> None:
    idle, busy = candidate("idle"), candidate("busy", meter=FixedMeter(in_flight=1))
    failed = candidate("failed", health=FixedHealth(errors=0.2))
    found = {key: of["latency"] for key, of in terms([idle, busy, failed]).items()}
    assert found == {"idle": SLIGHT, "busy": UNPROVEN, "failed": UNPROVEN}


@pytest.mark.parametrize(("ratio", "share"), [(CLEARLY + 0.01, 50), (CLEARLY - 0.01, 100)])
def test_latencies_that_differ_by_noise_are_equal(ratio: float, share: int) -> None:
    candidates = [candidate(key, health=FixedHealth(latency=of)) for key, of in (("a", 1.0), ("b", ratio))]
    assert firsts(candidates)["b"] == share


def test_the_rest_is_tried_by_room() -> None:
    candidates = pool(6)
    for place, share in enumerate((0.9, 1.0, 0.0, 0.5, 0.2, 0.7)):
        candidates[place].meter.request_share = share
    ranked = adaptive().rank(candidates, DEMAND, NOW)
    shares = [each.meter.request_share for each in ranked]
    assert shares[0] < shares[1] or ranked[0] is candidates[0]
    assert shares[2:] == sorted(shares[2:])


def test_windows_slide_before_they_are_read() -> None:
    past = candidate("past", meter=FixedMeter(request_share=1.0, valid_until=NOW))
    assert firsts([candidate("other", meter=FixedMeter(request_share=0.5)), past])["past"] > 90


def test_one_of_a_large_pool_is_explained_with_the_others() -> None:
    candidates = pool(40)
    assert len(adaptive().explain(candidates, DEMAND, NOW)) == 40
    assert adaptive().explain(candidates[:1], DEMAND, NOW)[0].candidate is candidates[0]
