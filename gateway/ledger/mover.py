"""From the journal into the store: in batches, each record as often as it takes, in the store once."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence

from gateway.api import Record, Store, TooOld
from gateway.complaint import Complaint
from gateway.first_of import first_of
from gateway.ledger.aside import put_late, reject, report
from gateway.ledger.frame import decode, encode
from gateway.ledger.journal import Journal
from gateway.ledger.segment import Entry, Segment

log = logging.getLogger(__name__)

BATCH = 500
GATHER = 0.25
"""Seconds that records wait for others to come with them."""
BACKOFF = (0.2, 2.0)
"""Seconds between attempts while the store takes nothing: at first, and at most."""
PARTING = 1.0
"""Seconds for a move that is given up: the journal and the store are closed after it."""
_REFUSALS = (TypeError, ValueError, OverflowError)
"""What a store raises for a record that it cannot express; anything else may pass."""


class Mover:
    """Runs as a task until it is closed."""

    def __init__(self, journal: Journal, store: Store) -> None:
        self._journal = journal
        self._store = store
        self._complain = Complaint(log)
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="journal mover")

    async def close(self, timeout: float = 5.0) -> None:
        """Move what is there, within ``timeout`` seconds and as long as the store takes it."""
        self._closing.set()
        self._journal.due.set()
        await asyncio.wait({self._task}, timeout=timeout)
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=PARTING)

    async def _run(self) -> None:
        backoff = BACKOFF[0]
        while self._journal.next() or not self._closing.is_set():
            await self._journal.due.wait()
            await first_of(GATHER, self._closing)
            self._journal.due.clear()
            while not await self._move():
                if self._closing.is_set():
                    return
                await first_of(random.uniform(backoff / 2, backoff), self._closing)
                backoff = min(backoff * 2, BACKOFF[1])
            backoff = BACKOFF[0]
            if self._journal.next():
                self._journal.due.set()

    async def _move(self) -> bool:
        """Move as many as there are now; False if the store does not take them. Those that come meanwhile
        wait for others: one by one they would cost several times as much."""
        due = max(self._journal.pending, 1)  # what is damaged counts for nothing, and is to be dealt with
        while due > 0 and (segments := self._journal.next()):
            for segment in segments:
                try:
                    due -= await self._move_some(segment)
                except Exception as error:
                    pending = self._journal.pending
                    self._complain("usage records wait for the store", error, pending=pending)
                    return False
        self._complain.relent("the store takes usage records again")
        return True

    async def _move_some(self, segment: Segment) -> int:
        """Move the segment's next batch; how many records that was."""
        try:
            await segment.load()
            batch = segment.take(BATCH)
        except OSError as error:
            if segment in self._journal.segments:  # else its records went into another file meanwhile
                self._abandon(segment, error)
            return 0
        if segment.damaged:
            report(self._journal, segment)
        await self._deliver(await self._records(batch.entries))
        self._journal.acknowledge(segment, batch)
        return len(batch.entries)

    async def _deliver(self, records: Sequence[Record]) -> None:
        """All of them; one that the store refuses even by itself is set aside."""
        if not records:
            return
        try:
            await self._store.append(records)
        except TooOld as late:
            put_late(self._journal, late.records)
        except _REFUSALS as error:
            if len(records) == 1:
                reject(self._journal, encode(records[0]), error)
                return
            half = len(records) // 2
            await self._deliver(records[:half])
            await self._deliver(records[half:])

    async def _records(self, entries: Sequence[Entry]) -> list[Record]:
        """The records of ``entries``; what is none is set aside."""
        known = [record for record, _ in entries if record is not None]
        if len(known) == len(entries):
            return known
        records, broken = await asyncio.to_thread(_decoded, entries)
        for payload, error in broken:
            reject(self._journal, payload, error)
        return records

    def _abandon(self, segment: Segment, error: OSError) -> None:
        log.error(
            "journal segment cannot be read and is left where it is",
            extra={"path": str(segment.path), "records": segment.pending, "error": str(error)},
        )
        self._journal.abandon(segment, error)


def _decoded(entries: Sequence[Entry]) -> tuple[list[Record], list[tuple[bytes, Exception]]]:
    """The records, and the payloads that are none with what is wrong with them."""
    records: list[Record] = []
    broken: list[tuple[bytes, Exception]] = []
    for record, payload in entries:
        try:
            records.append(record or decode(payload))
        except (TypeError, ValueError) as error:
            broken.append((payload, error))
    return records, broken
