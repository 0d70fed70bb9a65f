"""Estimates follow the traffic and fade without it."""

from __future__ import annotations

from math import exp

import pytest

from gateway.routing.health import FORGET_AFTER, HALF_LIFE, PEAK_FADES, KeyModelHealth


def test_the_first_latency_is_the_estimate_and_later_ones_move_it() -> None:
    health = KeyModelHealth()
    health.record_success(0.0, 1.0)
    assert health.latency == 1.0
    health.record_success(1.0, 2.0)
    assert health.latency == pytest.approx(1.2)


def test_an_old_latency_is_forgotten() -> None:
    health = KeyModelHealth()
    health.record_success(0.0, 5.0)
    health.error_rate(FORGET_AFTER - 1)
    assert health.latency == 5.0
    health.error_rate(FORGET_AFTER)
    assert health.latency == 0.0
    health.record_success(FORGET_AFTER, 1.0)
    health.record_success(FORGET_AFTER * 2, 3.0)
    assert health.latency == 3.0


def test_failures_in_a_row_approach_one() -> None:
    health = KeyModelHealth()
    rates = []
    for _ in range(20):
        health.record_failure(0.0)
        rates.append(health.error_rate(0.0))
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(0.2)
    assert 0.98 < rates[-1] < 1


def test_the_error_rate_halves_and_ends() -> None:
    health = KeyModelHealth()
    health.record_failure(0.0)
    assert health.error_rate(HALF_LIFE) == pytest.approx(0.1)
    assert health.error_rate(HALF_LIFE * 5) == 0.0


def test_successes_lower_the_error_rate() -> None:
    health = KeyModelHealth()
    health.record_failure(0.0)
    health.record_success(0.0, 1.0)
    assert health.error_rate(0.0) == pytest.approx(0.16)


def test_a_peak_rises_at_once_and_fades_with_time() -> None:
    health = KeyModelHealth()
    assert health.peak(0.0) == 0.0
    health.record_success(0.0, 1.0)
    health.record_success(1.0, 5.0)
    assert health.peak(1.0) == 5.0
    for _ in range(10):  # answers do not make it fade
        health.record_success(1.0, 1.0)
    assert health.peak(1.0) == 5.0
    health.record_success(1.0 + PEAK_FADES, 1.0)
    assert health.peak(1.0 + PEAK_FADES) == pytest.approx(1 + 4 * exp(-1))


def test_a_peak_fades_without_traffic_and_is_forgotten() -> None:
    health = KeyModelHealth()
    health.record_success(0.0, 5.0)
    assert health.peak(PEAK_FADES) == pytest.approx(5 * exp(-1))
    assert health.peak(FORGET_AFTER) == 0.0
    health.record_success(FORGET_AFTER, 1.0)
    assert health.peak(FORGET_AFTER) == 1.0
