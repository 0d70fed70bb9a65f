"""Usage records on their way to the store: in batches, off the request's path."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.api import Record, Store

log = logging.getLogger(__name__)

BATCH_SECONDS = 0.02
"""How long a record waits for company."""
MAX_WAITING = 100_000
"""Records that wait for a slow store; what comes after them is in the log only."""


class Records:
    """Takes records and appends them to the store. To be made, used and closed on the running event loop."""

    def __init__(self, store: Store, failed: Callable[[str, str], None]) -> None:
        """``failed`` is told the store and the operation that failed (`Metrics.store_error`)."""
        self._store = store
        self._failed = failed
        self._waiting: list[Record] = []
        self._task: asyncio.Task[None] | None = None

    def put(self, record: Record) -> None:
        """Keep a finished request. Never waits, never fails; the record must not change any more."""
        if len(self._waiting) >= MAX_WAITING:
            self._failed("runtime", "append")
            return
        self._waiting.append(record)
        if self._task is None:
            self._task = asyncio.create_task(self._append(), name="usage records")

    async def close(self) -> None:
        """Append what is waiting."""
        if self._task is not None:
            await self._task

    async def _append(self) -> None:
        while self._waiting:
            await asyncio.sleep(BATCH_SECONDS)
            batch, self._waiting = self._waiting, []
            try:
                await self._store.append(batch)
            except Exception:
                self._failed("runtime", "append")
                log.exception("usage records not stored", extra={"count": len(batch)})
        self._task = None
