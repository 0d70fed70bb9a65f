"""Usage over time: of each leading group and of all others together, what they come to in each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.admin.breakdown import Breakdown, Group
from gateway.admin.pace import paced
from gateway.admin.pages.ranges import Span
from gateway.api import Total

SERIES = 5
"""Groups that are drawn by themselves: there is a colour for each."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure of all groups."""

    title: str
    id: str
    unit: str
    """As `ui.chart` has it."""
    points: Sequence[tuple[int, Sequence[int]]]
    """Each step's beginning, and a value for each group."""


_FIGURES: tuple[tuple[str, str, str, Callable[[Total], int]], ...] = (
    ("Spend", "spend", "usd", lambda total: total.cost_nano),
    ("Requests", "requests", "count", lambda total: total.requests),
    ("Tokens, in and out", "tokens", "count", lambda total: total.input_tokens + total.output_tokens),
    ("Errors", "errors", "count", lambda total: total.errors),
)


async def charts(found: Breakdown, span: Span, leading: Sequence[Group], others: bool) -> list[Chart]:
    """One for each figure; the last value of every step is that of all ``others``, if there are any."""
    places = {group: place for place, group in enumerate(leading)}
    series = len(leading) + others
    values = {moment: [[0] * series for _ in _FIGURES] for moment in span.moments()}
    width = len(leading[0]) if leading else 0
    async for moment, total in paced(found.found):
        _add(values[moment], total, places.get(total.group[:width], len(leading)))
    return [
        Chart(title, f"chart-{name}", unit, [(moment, step[place]) for moment, step in values.items()])
        for place, (title, name, unit, _) in enumerate(_FIGURES)
    ]


def _add(step: Sequence[list[int]], total: Total, place: int) -> None:
    for values, (*_, figure) in zip(step, _FIGURES, strict=True):
        values[place] += figure(total)
