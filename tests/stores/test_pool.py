"""What one process knows of a shared window."""

from __future__ import annotations

from gateway_stores.windows.pool import Pool


def test_nothing_stays_longer_than_the_window_though_the_clock_of_the_authority_went_back() -> None:
    pool = Pool("requests", 10, 60.0)
    pool.learn([(86400.0, 4), (86430.0, 6)], 0, now=1000.0, ttl=10.0)
    assert 60.0 <= pool.wait(1, 1000.0) <= 61.0
    pool.slide(1061.0)
    assert pool.used == 0
