"""What cannot go into the store is not thrown away: it is put beside the journal, and a line says so."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from gateway.api import Record
from gateway.ledger.frame import encode
from gateway.ledger.journal import Journal
from gateway.ledger.segment import Segment

log = logging.getLogger(__name__)

REJECTED = "records.rejected"
LATE = "records.late"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW


def reject(journal: Journal, payload: bytes, error: Exception) -> None:
    """A record that the store does not take, nor any attempt to mend it: one line of JSON in `REJECTED`."""
    path = None if journal.folder is None else journal.folder / REJECTED
    facts = {"kept_in": _keep(path, payload + b"\n"), "error": type(error).__name__}
    log.error("the store refuses a usage record", extra=facts)
    journal.count("rejected", 1)


def put_late(journal: Journal, records: Sequence[Record]) -> None:
    """Records older than others that were pruned, which may have been counted before: to `LATE`."""
    path = None if journal.folder is None else journal.folder / LATE
    kept_in = _keep(path, b"".join(encode(record) + b"\n" for record in records))
    facts = {"records": len(records), "oldest": min(record.time for record in records), "kept_in": kept_in}
    log.error("usage records came too late to be counted", extra=facts)
    journal.count("late", len(records))


def report(journal: Journal, segment: Segment) -> None:
    """Those bytes of a segment that are no record, as far as it was read, in one file and one line."""
    torn = [damage.data for damage in segment.damaged if damage.torn]
    damaged = [damage.data for damage in segment.damaged if not damage.torn]
    segment.damaged.clear()
    facts: dict[str, object] = {"path": str(segment.path)}
    if torn:
        facts["bytes"] = sum(map(len, torn))
        log.warning("a journal ends in half a record, which is dropped", extra=facts)
        journal.count("torn", 1)
    if damaged:
        facts |= {"bytes": sum(map(len, damaged)), "places": len(damaged)}
        facts["kept_in"] = _keep(Path(f"{segment.path}.corrupt-{time.time_ns()}"), b"".join(damaged))
        log.error("a journal is damaged; the rest of it is used", extra=facts)
        journal.count("damaged", len(damaged))


def _keep(path: Path | None, data: bytes) -> str | None:
    """Append ``data`` to a file; its name, or None where that was not possible."""
    if path is None:
        return None
    try:
        with open(os.open(path, _NEW, 0o600), "ab", buffering=0) as file:
            file.write(data)
    except OSError:
        return None
    return str(path)
