"""least_loaded: token share, then flights, then turns."""

from __future__ import annotations

from gateway.api import Candidate
from gateway.api.testing.algorithms import DEMAND, NOW, FixedMeter, candidate
from gateway.routing.least_loaded import LeastLoaded


def loaded(key: str, share: float, flying: int = 0, valid_until: float = NOW + 1) -> Candidate:
    meter = FixedMeter(token_share=share, request_share=0.9, in_flight=flying, valid_until=valid_until)
    return candidate(key, meter=meter)


def keys(candidates: list[Candidate], algorithm: LeastLoaded | None = None) -> list[str]:
    return [c.key for c in (algorithm or LeastLoaded()).rank(candidates, DEMAND, NOW)]


def test_lowest_token_share_first() -> None:
    assert keys([loaded("a", 0.5), loaded("b", 0.1, 9), loaded("c", 0.3)]) == ["b", "c", "a"]


def test_equal_shares_by_flights_then_in_turn() -> None:
    candidates = [loaded("a", 0.1, 2), loaded("b", 0.1, 1), loaded("c", 0.1, 1), loaded("d", 0.2)]
    algorithm = LeastLoaded()
    assert [keys(candidates, algorithm)[0] for _ in range(4)] == ["b", "c", "b", "c"]
    assert keys(candidates, algorithm)[-1] == "d"


def test_windows_slide_before_they_are_read() -> None:
    assert keys([loaded("a", 0.1), loaded("b", 0.9, valid_until=NOW)]) == ["b", "a"]


def test_explains_with_the_share() -> None:
    scores = LeastLoaded().explain([loaded("a", 0.5), loaded("b", 0.25)], DEMAND, NOW)
    assert [(score.candidate.key, dict(score.terms)) for score in scores] == [
        ("b", {"token_ratio": 0.25}),
        ("a", {"token_ratio": 0.5}),
    ]
