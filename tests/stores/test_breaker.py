"""What is said of an authority that does not answer."""

from __future__ import annotations

import pytest

from gateway_stores.redis import RedisStore
from gateway_stores.windows.breaker import Breaker


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("no answer within 100 ms", "no answer within 100 ms"),
        ("redis at cache:6379: connection refused", "connection refused"),
    ],
)
def test_trouble_names_the_store_once(reason: str, said: str, caplog: pytest.LogCaptureFixture) -> None:
    breaker = Breaker("redis at cache:6379")
    breaker.failed(reason, 0.0, late=True)
    trouble = breaker.trouble(None, ())
    assert trouble is not None
    assert trouble[0].startswith(f"redis at cache:6379 does not keep the limits: {said}. ")
    assert [vars(record)["error"] for record in caplog.records] == [said]


def test_the_limits_of_a_redis_are_named_with_its_address() -> None:
    windows = RedisStore("cache:6379")._windows
    windows._breaker.failed("no answer", 0.0, late=True)
    trouble = windows.trouble()
    assert trouble is not None
    assert trouble[0].startswith("redis at cache:6379 does not keep the limits: no answer. ")
