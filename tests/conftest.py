"""What all tests share: the fake upstreams, and ``--long`` for the full-size runs."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.fakes.fixtures import fake_anthropic, fake_gemini, fake_openai, nasty
from tests.fakes.redis_fixtures import own_redis, redis_cluster, redis_sentinels, shared_redis, tls_files

__all__ = [
    "fake_anthropic",
    "fake_gemini",
    "fake_openai",
    "nasty",
    "own_redis",
    "redis_cluster",
    "redis_sentinels",
    "shared_redis",
    "tls_files",
]

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
"""How long an example takes is no matter: another program may have the processor."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="full-size runs of tests that have a short form")


@pytest.fixture
def long_run(request: pytest.FixtureRequest) -> bool:
    """Whether full-size runs are wanted."""
    return bool(request.config.getoption("--long"))
