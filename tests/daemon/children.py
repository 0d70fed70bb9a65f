"""The worker processes of a daemon, found in ``/proc``."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Child:
    """One process that a daemon has started."""

    pid: int

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process is still there."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass


def children(pid: int) -> list[Child]:
    """The processes that ``pid`` has started and not yet outlived."""
    found = (Path(task, "children").read_text().split() for task in Path(f"/proc/{pid}/task").iterdir())
    return [Child(int(child)) for pids in found for child in pids]
