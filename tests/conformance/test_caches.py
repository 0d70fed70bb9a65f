"""Every store that comes with COO-LLM keeps cached answers as a store must."""

from __future__ import annotations

from gateway.api import Store
from gateway.api.testing.cache import CacheConformance
from gateway.api.testing.clock import ManualClock
from gateway_stores.memory import MemoryStore


class TestMemory(CacheConformance):
    def make_store(self, clock: ManualClock) -> Store:
        store = MemoryStore()
        store.clock = clock
        return store
