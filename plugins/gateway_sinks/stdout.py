"""Log lines on standard output."""

from __future__ import annotations

import asyncio
import os
import select
import time
from collections.abc import Sequence
from dataclasses import dataclass

DESCRIPTOR = 1
PATIENCE_SECONDS = 1.0
_PIECE = 4096  # PIPE_BUF: a pipe that polls as writable takes this much without blocking


@dataclass
class Stdout:
    """Writes each line to standard output. Whoever stops reading it costs lines, never time."""

    def __post_init__(self) -> None:
        self._torn = b""

    async def write(self, lines: Sequence[bytes]) -> None:
        """Raises `OSError` if standard output is closed, or is not read for `PATIENCE_SECONDS`."""
        await asyncio.to_thread(self._write, b"".join([line + b"\n" for line in lines]))

    async def close(self) -> None:
        """Nothing to let go of: standard output belongs to the process."""

    def _write(self, data: bytes) -> None:
        """Write what is taken; the end of a line that was begun is kept for the next time."""
        torn, data = bool(self._torn), self._torn + data
        deadline = time.monotonic() + PATIENCE_SECONDS
        poll = select.poll()
        poll.register(DESCRIPTOR, select.POLLOUT)
        done = 0
        try:
            while done < len(data):
                if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
                    raise TimeoutError("standard output is not read")
                done += os.write(DESCRIPTOR, data[done : done + _PIECE])
        finally:
            torn = data[done - 1] != ord("\n") if done else torn
            self._torn = data[done : data.find(b"\n", done) + 1] if torn else b""
