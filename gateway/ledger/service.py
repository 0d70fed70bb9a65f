"""Everything that runs beside the requests so that their records come into the store, and old ones out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.api import Store
from gateway.config.problems import opening
from gateway.config.schema_storage import Retention
from gateway.ledger.journal import Journal
from gateway.ledger.mover import Mover
from gateway.ledger.retention import keep_pruned
from gateway.ledger.upkeep import Upkeep


@asynccontextmanager
async def keeping_records(journal: Journal, store: Store, retention: Retention) -> AsyncIterator[None]:
    """The store must be open. Raises `OSError` if the journal cannot be written at the start."""
    with opening("storage.journal"):
        journal.open()
    mover, upkeep = Mover(journal, store), Upkeep(journal)
    tasks = [
        asyncio.create_task(keep_pruned(store, retention), name="retention"),
        asyncio.create_task(upkeep.run(), name="journal upkeep"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await mover.close()
        finally:  # also in a hurry
            upkeep.close()
            journal.close()
