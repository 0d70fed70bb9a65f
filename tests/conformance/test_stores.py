"""Every store that comes with COO-LLM does what a store must."""

from __future__ import annotations

from gateway.api import Store
from gateway.api.testing.clock import ManualClock
from gateway.api.testing.stores import StoreConformance
from gateway_stores.memory import MemoryStore


class TestMemory(StoreConformance):
    slack = 1 / 120
    examples = 100

    def make_store(self, clock: ManualClock) -> Store:
        store = MemoryStore()
        store.clock = clock
        return store
