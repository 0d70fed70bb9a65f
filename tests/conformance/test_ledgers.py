"""Every store that comes with COO-LLM keeps usage records and answers questions to them as a store must."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from gateway.api import Store
from gateway.api.testing.clock import ManualClock
from gateway.api.testing.ledger import LedgerConformance
from gateway_stores.file import FileStore
from gateway_stores.memory import MemoryStore
from tests.stores.served_http import ServedHttpStore


class TestMemory(LedgerConformance):
    keeps_totals = False

    def make_store(self, clock: ManualClock) -> Store:
        return MemoryStore()


class TestFile(LedgerConformance):
    ledger_examples = 20

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.paths = (str(tmp_path / str(number) / "store.db") for number in count())

    def make_store(self, clock: ManualClock) -> Store:
        store = FileStore(next(self.paths))
        store.clock = clock
        return store


class TestHttp(LedgerConformance):
    keeps_totals = False  # the tests' own server forgets them
    ledger_examples = 10

    def make_store(self, clock: ManualClock) -> Store:
        return ServedHttpStore(clock)
