"""Usage records on their way to the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from gateway import records as module
from gateway.api import Record
from gateway.records import Records
from gateway_stores.memory import MemoryStore


def record(number: int) -> Record:
    return Record(float(number), "v", f"r-{number}", "app", "chat", "m")


@dataclass
class Broken(MemoryStore):
    async def append(self, records: Sequence[Record]) -> None:
        raise OSError("gone")


async def test_all_that_was_put_is_stored_at_close() -> None:
    store = MemoryStore()
    records = Records(store, lambda *_: None)
    for number in range(100):
        records.put(record(number))
    await records.close()
    records.put(record(100))
    await records.close()
    assert [found.request_id for found in await store.recent(200)] == [f"r-{n}" for n in range(100, -1, -1)]


async def test_a_failing_store_is_counted_and_hurts_nobody() -> None:
    failures: list[tuple[str, str]] = []
    records = Records(Broken(), lambda *what: failures.append(what))
    records.put(record(1))
    await records.close()
    assert failures == [("runtime", "append")]


async def test_records_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    store = MemoryStore()
    failures: list[tuple[str, str]] = []
    records = Records(store, lambda *what: failures.append(what))
    for number in range(3):
        records.put(record(number))
    await records.close()
    assert (len(await store.recent(9)), failures) == (2, [("runtime", "append")])
