"""What a worker tells its supervisor unasked: that it lives, and what it has counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import orjson

SIGN_SECONDS = 1.0
"""Between two signs of life. A snapshot of the metrics is one."""
SIGN_BYTES = 32 * 1024
"""For each so many bytes of a snapshot one sign of life more goes before the next snapshot."""
MOST_SIGNS = 10
"""Signs of life among which at least one is a snapshot."""


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
