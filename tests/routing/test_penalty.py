"""How long keys rest."""

from __future__ import annotations

import pytest

from gateway.api import Kind, Outcome
from gateway.routing.penalty import Backoff, KeyPenalty


def outcome(kind: Kind, retry_after: float | None = None) -> Outcome:
    return Outcome(kind, 429, "no", retry_after=retry_after)


def waits(penalty: KeyPenalty, kind: Kind, times: int) -> list[float]:
    """The rest after each of ``times`` failures, each when the one before is over."""
    found, now = [], 1000.0
    for _ in range(times):
        found.append(penalty.on_failure(outcome(kind), now))
        now += found[-1]
    return found


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.KEY, [60, 120, 240, 480, 960, 1920, 3600, 3600]),
        (Kind.LIMITED, [1, 2, 4, 8, 16, 32, 48, 48]),
        (Kind.OVERLOADED, [1, 2, 4, 8, 16, 24, 24]),
        (Kind.QUOTA, [3600, 3600]),
    ],
)
def test_rests_double_up_to_a_limit(kind: Kind, expected: list[float]) -> None:
    assert waits(KeyPenalty(lambda: 0.0), kind, len(expected)) == expected


def test_jitter_adds_up_to_a_quarter() -> None:
    assert waits(KeyPenalty(lambda: 1.0), Kind.LIMITED, 7) == [1.25, 2.5, 5, 10, 20, 40, 60]
    assert waits(KeyPenalty(lambda: 1.0), Kind.OVERLOADED, 6)[-1] == 30


def test_failures_that_were_in_flight_together_are_one() -> None:
    penalty = KeyPenalty(lambda: 0.0)
    assert [penalty.on_failure(outcome(Kind.KEY), 100.0 + second) for second in range(3)] == [60, 59, 58]
    assert penalty.on_failure(outcome(Kind.KEY), 160.0) == 120


def test_a_success_begins_anew_without_cutting_short() -> None:
    penalty = KeyPenalty(lambda: 0.0)
    waits(penalty, Kind.LIMITED, 5)
    penalty.on_success()
    assert penalty.on_failure(outcome(Kind.LIMITED), 5000.0) == 1
    penalty.on_success()
    assert penalty.on_failure(outcome(Kind.LIMITED), 5000.5) == 0.5


@pytest.mark.parametrize("kind", [Kind.LIMITED, Kind.OVERLOADED])
@pytest.mark.parametrize(("wish", "rest"), [(7.5, 7.5), (1e9, 300.0), (0.0, 1.0), (-3.0, 1.0)])
def test_what_the_upstream_asks_for_is_heeded(kind: Kind, wish: float, rest: float) -> None:
    assert KeyPenalty(lambda: 0.0).on_failure(outcome(kind, wish), 0.0) == rest


@pytest.mark.parametrize("kind", [Kind.CALLER, Kind.MODEL, Kind.FAILED, Kind.TIMEOUT, Kind.INVALID])
def test_other_failures_are_not_the_keys(kind: Kind) -> None:
    assert KeyPenalty().on_failure(outcome(kind), 0.0) == 0


def test_an_hour_of_doubling_does_not_overflow() -> None:
    backoff, now = Backoff(1.0, 60.0), 0.0
    for _ in range(2000):
        now += backoff.fail(now, lambda: 0.0)
    assert backoff.fail(now, lambda: 0.0) == 60
