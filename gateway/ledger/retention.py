"""Old records go: the store is told to forget, a little at a time."""

from __future__ import annotations

import asyncio
import logging
import time

from gateway.api import Store
from gateway.complaint import Complaint
from gateway.config.schema_storage import Retention

log = logging.getLogger(__name__)

INTERVAL = 600.0
"""Seconds from one round to the next."""
GRACE = 3600.0
"""Seconds for which records are kept beyond their time, for those that reach the store late."""
PAUSE = 0.05
"""Seconds between the steps of one: others use the store as well."""


async def keep_pruned(store: Store, retention: Retention) -> None:
    """Until cancelled; whatever the store raises is for the next round."""
    complain = Complaint(log)
    while True:
        await asyncio.sleep(PAUSE)
        now = time.time()
        try:
            more = await store.prune(now - retention.requests - GRACE, now - retention.rollups)
        except Exception as error:
            complain("old usage records cannot be removed", error)
            more = False
        if not more:
            await asyncio.sleep(INTERVAL)
