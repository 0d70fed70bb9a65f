"""Wait for whichever comes first."""

from __future__ import annotations

import asyncio


async def first_of(seconds: float, *events: asyncio.Event) -> None:
    """Wait until one of the events is set, but not longer than ``seconds``."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
