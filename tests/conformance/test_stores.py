"""Every store that comes with COO-LLM does what a store must."""

from __future__ import annotations

import asyncio

from gateway.api import Store
from gateway.api.testing.clock import ManualClock
from gateway.api.testing.loop import ManualLoop
from gateway.api.testing.stores import StoreConformance
from gateway_stores.authority import WindowAuthority
from gateway_stores.memory import MemoryStore
from tests.stores.leased import LeasedStore


class TestMemory(StoreConformance):
    slack = 1 / 120
    examples = 100

    def make_store(self, clock: ManualClock) -> Store:
        store = MemoryStore()
        store.clock = clock
        return store


class TestLeased(StoreConformance):
    slack = 1 / 60 + 1 / 600
    examples = 100

    def make_store(self, clock: ManualClock) -> Store:
        return LeasedStore(WindowAuthority(), clock)

    def make_loop(self, clock: ManualClock) -> asyncio.AbstractEventLoop:
        return ManualLoop(clock)
