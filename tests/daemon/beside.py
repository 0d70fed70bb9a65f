"""A program that runs beside a test: started, waited for, and ended with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

SECONDS = 10.0
"""In which it must be up."""


@asynccontextmanager
async def beside(command: Sequence[str], up: Callable[[], Awaitable[bool]]) -> AsyncIterator[None]:
    """Run ``command``, from the moment that ``up`` says it serves until the block ends."""
    process = await asyncio.create_subprocess_exec(*command)
    try:
        async with asyncio.timeout(SECONDS):
            while not await up():
                assert process.returncode is None
                await asyncio.sleep(0.02)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
