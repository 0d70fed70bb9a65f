"""Long work in slices, between which requests of clients get their turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

_SLICE = 0.0005
"""Seconds."""

T = TypeVar("T")


async def paced(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, one by one, giving way whenever a slice of time is used up."""
    resumed = time.perf_counter()
    for item in items:
        yield item
        if time.perf_counter() - resumed > _SLICE:
            await asyncio.sleep(0)
            resumed = time.perf_counter()
