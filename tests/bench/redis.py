"""A Redis of the bench's own, on the load's core."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench import nginx
from tests.bench.measure import LOAD_CORE
from tests.fakes.ports import free_port


@asynccontextmanager
async def redis(folder: Path) -> AsyncIterator[str]:
    """Run a ``redis-server`` that keeps nothing on disk; gives its address."""
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
    process = await asyncio.create_subprocess_exec(
        *LOAD_CORE, "redis-server", *options, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await nginx.listening(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()
