"""What a log sink plugin is: a place where log lines go, off the request's path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class LogSink(Protocol):
    """Its dataclass fields are its settings. The core calls it from one task, never concurrently,
    behind a bounded queue: it may be slow, and what it raises is counted and logged, nothing more."""

    async def write(self, lines: Sequence[bytes]) -> None:
        """Take a batch, oldest first; each line is one JSON object without its newline.

        Raises `OSError` (or what its library raises) if the batch could not be delivered.
        """

    async def close(self) -> None:
        """Flush and let go. Nothing is written after it."""
