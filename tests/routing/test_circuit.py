"""The circuit breaker: when it opens, its one probe, its slow start."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.routing.circuit import SLICES, Circuit, CircuitSettings, CircuitState

SETTINGS = CircuitSettings()


def opened(at: float = 0.0) -> Circuit:
    circuit = Circuit(SETTINGS)
    for _ in range(SETTINGS.min_requests):
        circuit.on_failure(at, circuit.begin(at))
    return circuit


def test_opens_at_the_ratio_once_there_are_enough() -> None:
    circuit = Circuit(SETTINGS)
    for number in range(9):
        ticket = circuit.begin(0.0)
        if number < 5:
            circuit.on_success(0.0, ticket)
        else:
            circuit.on_failure(0.0, ticket)
    assert circuit.admits(0.0)
    circuit.on_failure(0.0, circuit.begin(0.0))
    assert circuit.state(0.0) is CircuitState.OPEN
    assert not circuit.admits(0.0)
    assert circuit.begin(0.0) == 0


def test_a_lower_ratio_keeps_it_closed() -> None:
    circuit = Circuit(SETTINGS)
    for number in range(300):
        ticket = circuit.begin(0.0)
        if number % 3:
            circuit.on_success(0.0, ticket)
        else:
            circuit.on_failure(0.0, ticket)
    assert circuit.state(0.0) is CircuitState.CLOSED


def test_failures_older_than_the_window_do_not_count() -> None:
    circuit = Circuit(SETTINGS)
    for second in range(0, 200, 4):  # never ten within thirty seconds
        circuit.on_failure(float(second), circuit.begin(float(second)))
        assert len(circuit._slices) <= SLICES + 2
    assert circuit.state(200.0) is CircuitState.CLOSED


def test_neutral_outcomes_do_not_count() -> None:
    circuit = Circuit(SETTINGS)
    for _ in range(100):
        circuit.on_neutral(circuit.begin(0.0))
    assert circuit.state(0.0) is CircuitState.CLOSED


def test_one_probe_after_the_cooldown() -> None:
    circuit = opened()
    assert not circuit.admits(SETTINGS.cooldown - 0.1)
    assert circuit.state(SETTINGS.cooldown) is CircuitState.HALF_OPEN
    assert circuit.admits(SETTINGS.cooldown)
    assert circuit.begin(SETTINGS.cooldown)
    assert not circuit.admits(SETTINGS.cooldown)
    assert circuit.begin(1000.0) == 0


def test_a_failed_probe_opens_it_again() -> None:
    circuit = opened()
    circuit.on_failure(20.0, circuit.begin(20.0))
    assert circuit.state(20.0 + SETTINGS.cooldown - 0.1) is CircuitState.OPEN
    assert circuit.admits(20.0 + SETTINGS.cooldown)


def test_a_successful_probe_forgets_what_led_to_it() -> None:
    circuit = opened()
    circuit.on_success(16.0, circuit.begin(16.0))
    circuit.on_failure(17.0, circuit.begin(17.0))
    assert circuit.state(17.0) is CircuitState.CLOSED


def test_a_cancelled_probe_makes_room_for_another() -> None:
    circuit = opened()
    circuit.on_neutral(circuit.begin(20.0))
    assert circuit.admits(20.0)
    assert circuit.begin(20.0)


def test_what_began_before_it_opened_changes_nothing() -> None:
    circuit = Circuit(SETTINGS)
    early = circuit.begin(0.0)
    for _ in range(SETTINGS.min_requests):
        circuit.on_failure(0.0, circuit.begin(0.0))
    circuit.on_success(1.0, early)
    assert circuit.state(1.0) is CircuitState.OPEN
    probe = circuit.begin(SETTINGS.cooldown)
    circuit.on_success(16.0, early)
    circuit.on_failure(16.0, early)
    circuit.on_neutral(early)
    assert circuit.begin(16.0) == 0
    circuit.on_success(17.0, probe)
    assert circuit.state(17.0) is CircuitState.CLOSED


def recovering() -> Circuit:
    """Closed again at 100."""
    circuit = opened()
    circuit.on_success(100.0, circuit.begin(100.0))
    return circuit


def test_what_is_forgotten_counts_no_longer() -> None:
    circuit = Circuit(SETTINGS)
    for _ in range(SETTINGS.min_requests - 1):
        circuit.on_failure(0.0, circuit.begin(0.0))
    early = circuit.begin(0.0)
    circuit.forget(1.0)
    circuit.on_failure(1.0, early)
    for _ in range(SETTINGS.min_requests - 1):
        circuit.on_failure(1.0, circuit.begin(1.0))
    assert circuit.state(1.0) is CircuitState.CLOSED and circuit.admits(1.0)
    circuit.on_failure(1.0, circuit.begin(1.0))
    assert circuit.state(1.0) is CircuitState.OPEN
    circuit.forget(2.0)
    assert circuit.state(2.0) is CircuitState.CLOSED and not circuit.admits(2.1)


def test_slow_start_ramps_linearly() -> None:
    circuit = recovering()
    admitted = []
    for tenth in range(3):
        count = 0
        for offer in range(1000):
            now = 100.0 + 10 * tenth + offer / 100
            if circuit.admits(now):
                circuit.on_success(now, circuit.begin(now))
                count += 1
        admitted.append(count)
    assert admitted == pytest.approx([1000 / 6, 1000 / 2, 1000 * 5 / 6], rel=0.01)
    assert all(circuit.admits(130.0) for _ in range(10))


def test_slow_start_yields_where_nothing_else_is_left() -> None:
    circuit = recovering()
    assert not circuit.admits(100.1)
    assert circuit.state(100.1) is CircuitState.CLOSED
    assert circuit.begin(100.1)


def test_no_slow_start() -> None:
    circuit = Circuit(CircuitSettings(min_requests=1, slow_start=0.0))
    circuit.on_failure(0.0, circuit.begin(0.0))
    circuit.on_success(15.0, circuit.begin(15.0))
    assert circuit.admits(15.0)


EVENTS = st.lists(
    st.tuples(st.sampled_from(["begin", "good", "bad", "neutral"]), st.floats(0, 20)), max_size=60
)


@settings(max_examples=60, deadline=None)
@given(events=EVENTS)
def test_never_two_probes_and_never_stuck(events: list[tuple[str, float]]) -> None:
    circuit, now = opened(), 0.0
    flying: list[tuple[int, CircuitState]] = []
    for action, seconds in events:
        now += seconds
        if action == "begin":
            state = circuit.state(now)
            if ticket := circuit.begin(now):
                flying.append((ticket, state))
            else:
                assert state is not CircuitState.CLOSED
        elif flying:
            ticket, _ = flying.pop(0)
            if action == "good":
                circuit.on_success(now, ticket)
            elif action == "bad":
                circuit.on_failure(now, ticket)
            else:
                circuit.on_neutral(ticket)
        assert sum(state is CircuitState.HALF_OPEN for _, state in flying) <= 1
    for ticket, _ in flying:
        circuit.on_neutral(ticket)
    assert circuit.begin(now + SETTINGS.cooldown)
