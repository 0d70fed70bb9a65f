"""Waiting for whichever comes first."""

from __future__ import annotations

import asyncio

from gateway.first_of import first_of


async def test_an_event_ends_the_wait_and_so_does_the_time() -> None:
    begun, set_late, never = asyncio.get_running_loop().time(), asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, set_late.set)
    async with asyncio.timeout(10):
        await first_of(60, never, set_late)
        await first_of(0.02, never)
    assert asyncio.get_running_loop().time() - begun >= 0.02


async def test_nothing_is_left_waiting_even_by_who_is_cancelled() -> None:
    others, never = asyncio.all_tasks(), asyncio.Event()
    await first_of(0, never)
    waiting = asyncio.create_task(first_of(60, never))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == others
