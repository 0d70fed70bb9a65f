"""Redis servers as pytest fixtures: each kind is started once, when the first test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.redis_server import RedisCluster, RedisSentinels, RedisServer, certificates


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """For tests that leave it running: each takes a prefix of its own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """For tests that harm it."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA's ``ca.pem``, a server's ``cert.pem`` and ``key.pem``."""
    return certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    """Three masters and a replica. Who lets it fail over leaves it whole."""
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture
def redis_sentinels() -> Iterator[RedisSentinels]:
    """A master, a replica and a sentinel."""
    with RedisSentinels() as sentinels:
        yield sentinels
