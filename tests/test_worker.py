"""What a worker's store asks the supervisor fails as a store does, whatever went wrong there."""

from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.api import StoreUnavailable
from gateway.worker import Link
from gateway.workers.channel import Channel


async def fail(topic: str, body: bytes) -> bytes:
    raise OSError("no space left on device")


async def test_a_supervisor_that_fails_or_has_ended_is_a_store_that_is_unavailable() -> None:
    here, there = socket.socketpair()
    link, supervisor = Link(), await Channel.over(there, fail)
    await link.open(here)
    with pytest.raises(StoreUnavailable, match="failed: OSError"):
        await link.ask(b"{}")
    supervisor.close()
    await asyncio.wait_for(link.channel.closed.wait(), 5.0)
    with pytest.raises(StoreUnavailable, match="has ended"):
        await link.ask(b"{}")
