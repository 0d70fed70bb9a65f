"""The journal: every usage record is in a file before its answer's last byte goes out.

A record survives the end of this process from then on, and the end of the machine about a second later
(`Upkeep` has the files synced). If the disk fails, records wait in memory, and requests notice nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.api import Record
from gateway.api.folders import make_private_folder
from gateway.complaint import Complaint
from gateway.ledger.claim import Claim
from gateway.ledger.segment import Batch, Entry, Segment

log = logging.getLogger(__name__)

SEGMENT_BYTES = 8 * 1024 * 1024
"""A segment that has as many is followed by another one."""
RECENT = 5_000
"""Records of a segment that are also kept in memory; with more, they are read from the file."""
UNWRITTEN = 10_000
"""Records that are kept while no file takes them; what comes after them is lost, and counted."""

Count = Callable[[str, int], None]
"""Is told what happened to how many records or stretches of a file: see ``coo_llm_journal_events_total``."""


class Journal:
    """To be used on the event loop alone. Before `open`, and without a folder, records are only in memory."""

    def __init__(self, folder: Path | None, count: Count) -> None:
        self.folder = folder
        self.count = count
        self.due = asyncio.Event()
        """Set when there may be something to move."""
        self._current = Segment()
        self.segments = [self._current]
        """Those with records that the store does not have yet, and the one being written."""
        self.claim: Claim | None = None
        self.durable = False
        """Whether records are written to a file at this moment."""
        self.untaken: dict[Path, str] = {}
        """What processes that have ended left in the folder and cannot be read, and why: its records are not
        counted."""
        self._complain = Complaint(log)

    def open(self) -> None:
        """Begin the first file. Raises `OSError` with its name if it cannot be written."""
        if self.folder is not None:
            make_private_folder(self.folder)
            self.restore()

    def close(self) -> None:
        """Leave what is pending to whoever finds it, and say how much nobody will: what is in no file."""
        if lost := sum(segment.pending for segment in self.segments if segment.path is None):
            self.count("dropped", lost)
            facts = {"records": lost, "path": self.folder and str(self.folder)}
            log.error("usage records are lost: neither journal nor store took them to the end", extra=facts)
        for segment in list(self.segments):
            if segment.left:
                segment.close()
            else:
                self.remove(segment)
        if self.claim is not None:
            self.claim.close()

    @property
    def pending(self) -> int:
        """Records that the store does not have yet."""
        return sum(segment.pending for segment in self.segments)

    def oldest(self) -> float | None:
        """For how many seconds, about, the oldest of the pending records has been waiting."""
        waiting = [segment.oldest() for segment in self.segments if segment.pending]
        return max(time.time() - min(waiting), 0.0) if waiting else None

    def put(self, record: Record, payload: bytes) -> None:
        """Keep a record, whose payload this is. Never waits for anything but the file, never fails."""
        segment = self._current
        if segment.fd >= 0:
            try:
                segment.write(payload)
            except OSError as error:
                segment = self.fail(error)
        if segment.path is None and segment.pending >= UNWRITTEN:
            self.count("dropped", 1)
            self._complain("usage records are lost: neither journal nor store takes them")
            return
        segment.pending += 1
        if segment.recent is not None:
            segment.recent.append((record, payload))
            if len(segment.recent) > RECENT and segment.path is not None:
                segment.recent = None
        if segment.size >= SEGMENT_BYTES:
            self._rotate()
        self.due.set()

    def next(self) -> list[Segment]:
        """From which segments to move: the oldest that was left behind, and the newest."""
        waiting = [segment for segment in self.segments if segment.left]
        return waiting[:1] if len(waiting) < 2 else [waiting[0], waiting[-1]]

    def acknowledge(self, segment: Segment, batch: Batch) -> None:
        """The store has ``batch``: once it has all of a segment, that is gone."""
        segment.acknowledge(batch)
        if segment.left:
            return
        if segment is not self._current:
            self.remove(segment)
        elif segment.size:
            try:
                segment.empty()
            except OSError as error:
                self.fail(error)

    def remove(self, segment: Segment) -> None:
        """Be done with a segment."""
        if segment in self.segments:
            self.segments.remove(segment)
        try:
            segment.delete()
        except OSError as error:
            log.warning(
                "journal segment cannot be removed", extra={"path": str(segment.path), "error": str(error)}
            )

    def abandon(self, segment: Segment, error: OSError) -> None:
        """Forget a segment that cannot be read; its file stays for another start."""
        if segment is self._current:
            self.fail(error)
        if segment in self.segments:
            self.segments.remove(segment)
        segment.close()

    def is_current(self, segment: Segment) -> bool:
        """Whether records are written to this one."""
        return segment is self._current

    def adopt(self, segment: Segment) -> None:
        """Move what another process left behind."""
        if segment.left:
            self.segments.insert(-1, segment)
            self.due.set()
        else:
            self.remove(segment)

    def fail(self, error: OSError) -> Segment:
        """No file takes records for now; where they are kept until `restore`."""
        if self.durable:
            facts = {"path": str(self.folder), "error": f"{type(error).__name__}: {error.strerror}"}
            log.error("usage records cannot be written to the journal and wait in memory", extra=facts)
            self.durable = False
            self._follow(Segment())
        return self._current

    def restore(self) -> None:
        """Begin a new file with the records of which the disk may have none. Raises `OSError`."""
        fresh = self._create()
        lacking = [segment for segment in self.segments if segment.path is None or segment.doubtful]
        entries = [entry for segment in lacking for entry in self._pending(segment)]
        try:
            for _, payload in entries:
                fresh.write(payload)
        except OSError:
            fresh.delete()
            raise
        fresh.recent, fresh.pending = deque(entries), len(entries)
        for segment in lacking:
            self.remove(segment)
        self._follow(fresh)
        self.durable = True

    def _pending(self, segment: Segment) -> Sequence[Entry]:
        try:
            return segment.take(segment.pending).entries if segment.pending else ()
        except OSError as error:
            self.count("dropped", segment.pending)
            self._complain("usage records are lost with their file", error, records=segment.pending)
            return ()

    def _rotate(self) -> None:
        try:
            self._follow(self._create())
        except OSError as error:
            self.fail(error)

    def _follow(self, segment: Segment) -> None:
        self._current = segment
        self.segments.append(segment)

    def _create(self) -> Segment:
        assert self.folder is not None
        if self.claim is None or not self.claim.holds():
            make_private_folder(self.folder)
            if self.claim is not None:
                self.claim.release()
            self.claim = Claim.make(self.folder)
        return Segment.create(self.claim.next_path())
