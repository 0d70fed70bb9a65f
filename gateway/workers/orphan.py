"""A worker ends once its supervisor has, in whatever state it is: else it would hold the port."""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import signal
import threading
from contextlib import suppress

from gateway.workers.crew import HUNG

_PR_SET_PDEATHSIG = 1
"""Of prctl(2): which signal a process gets when its parent ends."""


def end_with_supervisor() -> None:
    """To be called in the event loop, which notices by itself that the supervisor has ended, and drains. So a
    process that was stopped is continued then; one whose loop hangs is ended after `HUNG` seconds."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)
    try:
        supervisor = os.pidfd_open(os.getppid())
    except OSError:  # it has ended already, or a sandbox knows no such call
        return
    loop = asyncio.get_running_loop()
    threading.Thread(target=_outlive, args=(supervisor, loop), name="supervisor's end", daemon=True).start()


def _outlive(supervisor: int, loop: asyncio.AbstractEventLoop) -> None:
    """Wait for the end of the process behind this descriptor, and then for a sign of life of the loop."""
    select.select([supervisor], [], [])
    alive = threading.Event()
    with suppress(RuntimeError):  # the loop is closed: the process is about to end
        loop.call_soon_threadsafe(alive.set)
        if not alive.wait(HUNG):
            os._exit(1)
