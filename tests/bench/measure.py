"""What a process and its children cost, read from /proc; and where processes run."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

SERVER_CORE = ("taskset", "-c", "0")
"""Command prefix for what is measured."""
LOAD_CORE = ("taskset", "-c", "1")
"""Command prefix for the load and the mock upstreams."""
_TICK = os.sysconf("SC_CLK_TCK")


class Void(Exception):
    """A run that does not count, and why: an error answer, a broken connection, a wrong body."""


def family(pid: int) -> Iterator[int]:
    """``pid`` and all its descendants."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from family(int(child))


def cpu_seconds(pid: int) -> float:
    """User and system time of ``pid`` and its descendants, to a clock tick (10 ms)."""
    return sum(_ticks(member) for member in family(pid)) / _TICK


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def rss_bytes(pid: int) -> int:
    """Resident memory of ``pid`` and its descendants, shared pages counted in each."""
    page = resource.getpagesize()
    return sum(int(Path(f"/proc/{member}/statm").read_text().split()[1]) * page for member in family(pid))


def raise_open_files() -> int:
    """Allow this process and those it starts all the open files there may be; return how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of ``values`` do not exceed; 0 if there are none."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else 0.0
