"""What a log sink plugin is: a place where log lines go, off the request's path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


class LogSink(Protocol):
    """Its dataclass fields are its settings. The core calls it from one task, never concurrently,
    behind a bounded queue: it may be slow, and what it raises is counted and logged, nothing more."""

    async def write(self, lines: Sequence[bytes]) -> None:
        """Take a batch, oldest first; each line is one JSON object without its newline.

        Raises `OSError` (or what its library raises) if the batch could not be delivered.
        """

    async def close(self) -> None:
        """Flush and let go. Nothing is written after it."""


@runtime_checkable
class Opening(LogSink, Protocol):
    """A sink that can tell at the start that it will not work."""

    async def open(self) -> None:
        """Called once, before the first `write`. Raises `OSError` with a message for the operator: the
        gateway then does not start."""


@dataclass(frozen=True, slots=True)
class Batch:
    """How lines are gathered for a sink that is `Gathering`; to any other they come at once."""

    enabled: bool = True
    """False: every line by itself."""
    size: int = 100
    """Lines in a batch at most."""
    interval_seconds: float = 5.0
    """Seconds a line may wait for others."""


@runtime_checkable
class Gathering(LogSink, Protocol):
    """A sink that lets the operator say how lines are gathered for it: ``batch`` is one of its settings."""

    @property
    def batch(self) -> Batch: ...
