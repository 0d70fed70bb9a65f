"""What all tests share: the fake upstreams, ``--long`` for the full-size runs, how to run side by side."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

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

ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""How long an example takes is no matter: another program may have the processor."""
settings.register_profile("suite", ANY_SPEED, derandomize=True)
settings.register_profile("long", ANY_SPEED)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="full-size runs of tests that have a short form")


def pytest_configure(config: pytest.Config) -> None:
    """The same examples in every run, but new ones in a long run."""
    settings.load_profile("long" if config.getoption("--long") else "suite")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """How ``--numprocesses`` shares the tests out."""
    return Scheduling(config, log)


class Scheduling(LoadFileScheduling):
    """The tests of a file keep to one process, as do those of the folders that share what starts slowly."""

    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.rpartition("/")[0]
        return folder if folder in ("tests/browser", "tests/package") else super()._split_scope(nodeid)


@pytest.fixture
def long_run(request: pytest.FixtureRequest) -> bool:
    """Whether full-size runs are wanted."""
    return bool(request.config.getoption("--long"))
