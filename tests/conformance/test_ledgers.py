"""Every store that comes with COO-LLM keeps usage records and answers questions to them as a store must."""

from __future__ import annotations

from gateway.api import Store
from gateway.api.testing.clock import ManualClock
from gateway.api.testing.ledger import LedgerConformance
from gateway_stores.memory import MemoryStore


class TestMemory(LedgerConformance):
    keeps_totals = False

    def make_store(self, clock: ManualClock) -> Store:
        return MemoryStore()
