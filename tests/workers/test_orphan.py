"""What becomes of a worker whose event loop hangs when its supervisor ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

HANGS = """
import asyncio, os, sys, time
from gateway.workers import orphan

async def work():
    orphan.end_with_supervisor()
    print(os.getpid(), flush=True)
    time.sleep(3600)

orphan.HUNG = 0.1
asyncio.run(work())
"""
SUPERVISES = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HANGS!r}])"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_it_ends_too(end: signal.Signals) -> None:
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SUPERVISES, stdout=asyncio.subprocess.PIPE
    )
    assert supervisor.stdout is not None
    worker = os.pidfd_open(int(await supervisor.stdout.readline()))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(worker, ended.set)
    supervisor.send_signal(end)
    async with asyncio.timeout(10):
        await supervisor.wait()
        await ended.wait()
    asyncio.get_running_loop().remove_reader(worker)
    os.close(worker)
