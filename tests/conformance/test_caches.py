"""Every store that comes with COO-LLM keeps cached answers as a store must."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from gateway.api import Store
from gateway.api.testing.cache import CacheConformance
from gateway.api.testing.clock import ManualClock
from gateway_stores.file import FileStore
from gateway_stores.memory import MemoryStore
from tests.stores.served_http import ServedHttpStore


class TestMemory(CacheConformance):
    def make_store(self, clock: ManualClock) -> Store:
        store = MemoryStore()
        store.clock = clock
        return store


class TestFile(CacheConformance):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.paths = (str(tmp_path / str(number) / "store.db") for number in count())

    def make_store(self, clock: ManualClock) -> Store:
        store = FileStore(next(self.paths))
        store.clock = clock
        return store


class TestHttp(CacheConformance):
    def make_store(self, clock: ManualClock) -> Store:
        return ServedHttpStore(clock)
