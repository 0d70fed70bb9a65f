"""The Redis stores do what every store must, at one server and at a cluster."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from gateway.api import ConfigStore, Store
from gateway.api.testing.cache import CacheConformance
from gateway.api.testing.clock import ManualClock
from gateway.api.testing.config_stores import ConfigStoreConformance
from gateway.api.testing.ledger import LedgerConformance
from gateway.api.testing.loop import ManualLoop
from gateway.api.testing.stores import StoreConformance
from gateway_stores.redis import RedisStore
from gateway_stores.redis_config import RedisConfigStore
from gateway_stores.redis_link import Link
from tests.fakes.redis_server import RedisCluster, RedisServer
from tests.stores.asking import wait_for_answers

PREFIXES = (f"test-{number}" for number in itertools.count())


class _Redis(LedgerConformance, CacheConformance, StoreConformance):
    """Each store has keys of its own, so each is empty."""

    slack = 1 / 60 + 1 / 600
    examples = 10

    address = ""

    @pytest.fixture(autouse=True)
    def _patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wait_for_answers(monkeypatch, Link, "run")

    def make_store(self, clock: ManualClock) -> Store:
        store = RedisStore(self.address, prefix=next(PREFIXES))
        store.run_by(clock)
        return store

    def make_loop(self, clock: ManualClock) -> asyncio.AbstractEventLoop:
        return ManualLoop(clock)


class TestRedis(_Redis):
    @pytest.fixture(autouse=True)
    def at(self, shared_redis: RedisServer) -> None:
        type(self).address = shared_redis.address


class TestRedisCluster(_Redis):
    ledger_examples = 3

    @pytest.fixture(autouse=True)
    def at(self, redis_cluster: RedisCluster) -> None:
        type(self).address = redis_cluster.address


class TestRedisConfig(ConfigStoreConformance):
    @pytest.fixture(autouse=True)
    def at(self, shared_redis: RedisServer) -> None:
        self.address, self.prefix = shared_redis.address, next(PREFIXES)

    def make_config_store(self) -> ConfigStore:
        return RedisConfigStore(self.address, prefix=self.prefix)
