"""The range of time that a page looks at: the last hours or days, in steps that suit a chart."""

from __future__ import annotations

import time
from dataclasses import dataclass

from gateway.admin.query import Query

RANGES = {
    "15m": (900, 60, "15 minutes"),
    "1h": (3600, 60, "hour"),
    "6h": (6 * 3600, 360, "6 hours"),
    "24h": (86400, 1800, "24 hours"),
    "7d": (7 * 86400, 3 * 3600, "7 days"),
    "30d": (30 * 86400, 12 * 3600, "30 days"),
}
"""By the name in the address: seconds, seconds of a step, in words."""
USUAL = "1h"


@dataclass(frozen=True, slots=True)
class Span:
    """A range that ends now."""

    name: str
    label: str
    start: int
    """Seconds since the epoch; so is ``end``. Both are at the edge of a step."""
    end: int
    step: int
    """Seconds."""

    def moments(self) -> range:
        """Where its steps begin."""
        return range(self.start, self.end, self.step)


def read_span(query: Query) -> Span:
    """The query's ``range``. Raises `AdminError` 400."""
    return last(query.choice("range", tuple(RANGES), USUAL))


def last(name: str) -> Span:
    """The range that is called so in `RANGES`."""
    seconds, step, words = RANGES[name]
    end = (int(time.time()) // step + 1) * step
    return Span(name, f"the last {words}", end - seconds, end, step)


def range_links(span: Span) -> list[tuple[str, str, bool]]:
    """Every range, for `ui.segments`: its text, its address, and whether it is this one."""
    return [(name, f"?range={name}", name == span.name) for name in RANGES]
