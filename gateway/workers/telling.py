"""What a worker tells its supervisor unasked: that it lives, and what it has counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import orjson

SIGN_SECONDS = 1.0
"""Between two signs of life. Metrics are one; where there are many of them, they go less often:"""
SIGN_BYTES = 32 * 1024
"""on average so much of them goes with each sign, but all of them"""
MOST_SIGNS = 10
"""once in so many signs at least."""


async def keep_telling(
    call: Callable[[str, bytes], Awaitable[bytes]], count: Callable[[], Awaitable[object]]
) -> None:
    """Until cancelled. ``call`` is `Channel.call`; ``count`` gives the metrics as plain JSON values."""
    while True:
        metrics = orjson.dumps(await count())
        await call("snapshot", metrics)
        await asyncio.sleep(SIGN_SECONDS)
        for _ in range(min(len(metrics) // SIGN_BYTES, MOST_SIGNS - 1)):
            await call("alive", b"")
            await asyncio.sleep(SIGN_SECONDS)
