"""The range of a report: a usual one, or from one moment to another, in as few steps as a chart needs."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime

from gateway.admin.filters import RANGE, read_range
from gateway.admin.pages.ranges import RANGES, Span, last
from gateway.admin.query import Query

FIELDS = ("range", *RANGE)
PRESETS = {
    **{name: name for name in RANGES},
    "month": "this month",
    "last-month": "last month",
    "year": "365 d",
}
"""By the name in the address: what its link says."""
USUAL = "24h"
_MINUTE, _DAY = 60, 86400
_STEPS = (60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, _DAY, 7 * _DAY)
_MOST = 62
"""Steps: a month in half days."""
_OPEN = 30 * _DAY
"""What a range is long of which only the end is given."""


def read_period(query: Query) -> Span:
    """The query's ``start`` and ``end``, or else its ``range``. Raises `AdminError` 400."""
    given = read_range(query)
    if given.start is None and given.end is None:
        return _usual(query.choice("range", tuple(PRESETS), USUAL))
    end = time.time() if given.end is None else given.end
    start = max(end - _OPEN, 0) if given.start is None else given.start
    first = int(start // _MINUTE) * _MINUTE
    return _span("", "the chosen time", first, max(math.ceil(end / _MINUTE) * _MINUTE, first + _MINUTE))


def _usual(name: str) -> Span:
    if name in RANGES:
        return last(name)
    now = datetime.now(UTC)
    if name == "year":
        end = (int(now.timestamp()) // _DAY + 1) * _DAY
        return _span(name, "the last 365 days", end - 365 * _DAY, end)
    this = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if name == "month":
        return _span(name, "this month", _seconds(this), _seconds(_neighbour(this, 1)))
    return _span(name, "last month", _seconds(_neighbour(this, -1)), _seconds(this))


def _neighbour(month: datetime, months: int) -> datetime:
    number = month.year * 12 + month.month - 1 + months
    return month.replace(year=number // 12, month=number % 12 + 1)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _span(name: str, label: str, start: int, end: int) -> Span:
    seconds = end - start
    step = next(
        (step for step in _STEPS if seconds <= step * _MOST), math.ceil(seconds / _MOST / _DAY) * _DAY
    )
    return Span(name, label, start, end, step)
