"""Records to keep, and a store that says when it has them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from gateway.api import Attempt, Filter, Record
from gateway.api.record import first_id
from gateway.ledger.frame import encode
from gateway.ledger.journal import Journal
from gateway_stores.memory import MemoryStore
from tests.daemon.running import until

NOW = 1_800_000_000.0


def record(number: int = 1, **given: Any) -> Record:
    """The one with this number."""
    time = NOW + number
    id = f"{first_id(time)}{number:012}"
    return Record(time, "v1", f"r-{number}", "app", "chat", "smart", id=id, **given)


def number_of(one: Record) -> int:
    """The number that `record` made it of."""
    return int(one.id[14:])


def put(journal: Journal, *numbers: int) -> None:
    for number in numbers:
        one = record(number, cost_nano_usd=number)
        journal.put(one, encode(one))


class Count(dict[str, int]):
    """What a journal counted."""

    def __call__(self, event: str, count: int) -> None:
        self[event] = self.get(event, 0) + count


class Troubled(MemoryStore):
    """A store that fails as long as it has a ``fault``, and remembers what it was given."""

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__()
        self.fault = fault
        self.poison: dict[str, Exception] = {}
        """What it raises for a record with this id."""
        self.batches: list[int] = []
        self.called = asyncio.Event()
        self.given: list[str] = []

    async def append(self, records: Sequence[Record]) -> None:
        self.called.set()
        if self.fault is not None:
            raise self.fault
        for one in records:
            if one.id in self.poison:
                raise self.poison[one.id]
        self.batches.append(len(records))
        self.given += [one.id for one in records]
        await super().append(records)

    async def ids(self) -> list[int]:
        return sorted(number_of(one) for one in await self.requests(Filter(), 100_000))


texts = st.text(max_size=20) | st.text(st.characters(), max_size=5)  # the latter with surrogates
numbers = st.integers(0, 2**70)
times = st.floats(0, 1e10)
attempts = st.builds(Attempt, texts, texts, texts, st.integers(0, 599), texts, times)
records = st.builds(
    Record,
    time=times,
    config_version=texts,
    request_id=texts,
    client=texts,
    operation=st.just("chat"),
    alias=texts,
    provider=st.none() | texts,
    attempts=st.lists(attempts, max_size=3),
    input_tokens=numbers,
    cost_nano_usd=st.none() | numbers,
    first_token_ms=st.none() | times,
    id=st.uuids().map(str),
)


def crash(journal: Journal) -> None:
    """What a SIGKILL leaves of a journal: its files, unlocked."""
    for segment in journal.segments:
        segment.close()
    if journal.claim is not None:
        journal.claim.release()


def reopened(folder: Path, count: Count | None = None) -> Journal:
    journal = Journal(folder, Count() if count is None else count)
    journal.open()
    return journal


def files(folder: Path, suffix: str = ".journal") -> list[Path]:
    """Those whose names end like this, oldest first."""
    return sorted(path for path in folder.iterdir() if path.name.endswith(suffix))


async def settled(journal: Journal) -> None:
    """Wait until the store has everything."""
    await until(lambda: not journal.pending and not any(one.left for one in journal.segments))
