"""Usage as rows: groups, and the groups in them, in the order that is asked for, the last of many as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gateway.admin.breakdown import Group
from gateway.admin.pace import paced
from gateway.admin.pages.figures import name
from gateway.api import Total

FIGURES: dict[str, Callable[[Total], float]] = {
    "cost": lambda total: total.cost_nano,
    "requests": lambda total: total.requests,
    "errors": lambda total: total.errors,
    "input": lambda total: total.input_tokens,
    "output": lambda total: total.output_tokens,
    "p50": lambda total: total.percentile_ms(0.5) or 0.0,
    "p95": lambda total: total.percentile_ms(0.95) or 0.0,
}
NAME = "name"
NONE = "(none)"
"""Stands for the name that a request lacks, of a provider that none was asked."""
_LONGEST = 48
"""Characters of a name."""
SORTS = tuple(f"{sign}{name}" for name in (*FIGURES, NAME) for sign in ("", "-"))
"""What rows can be sorted by: figures from the highest on, names from A on; with ``-`` the other way."""


@dataclass(slots=True)
class Row:
    """A group, and what is in it."""

    names: Group
    """Its values of the dimensions; empty for all that are not shown by themselves."""
    total: Total
    rows: list[Row] = field(default_factory=list)
    others: int = 0
    """So many groups are summed up in it."""

    @property
    def label(self) -> str:
        """What it is called, on one line."""
        if self.others:
            return f"{self.others:,} others"
        return " / ".join(name(one, _LONGEST) or NONE for one in self.names) if any(self.names) else NONE

    def leaves(self) -> Iterator[Row]:
        """The rows that have none in them."""
        if not self.rows:
            yield self
        for row in self.rows:
            yield from row.leaves()


async def tree(groups: Mapping[Group, Total], width: int) -> Row:
    """All groups: those whose first ``width`` names are the same in one row, and in that each by itself if it
    has further names."""
    whole, outer = Row((), Total()), dict[Group, Row]()
    async for group, total in paced(groups.items()):
        row = outer.get(group[:width])
        if row is None:
            row = outer[group[:width]] = Row(group[:width], Total(group[:width]))
            whole.rows.append(row)
        row.total.add(total)
        whole.total.add(total)
        if len(group) > width:
            row.rows.append(Row(group[width:], total))
    return whole


def arrange(row: Row, sort: str) -> None:
    """Put the rows in ``row`` in order, and those in them."""
    figure = FIGURES.get(sort.removeprefix("-"))
    # Equal ones stay in the order of their names.
    row.rows.sort(key=lambda one: one.names, reverse=sort == f"-{NAME}")
    if figure is not None:
        row.rows.sort(key=lambda one: figure(one.total), reverse=not sort.startswith("-"))
    for inner in row.rows:
        arrange(inner, sort)


def leading(rows: Iterable[Row], sort: str, most: int) -> list[Row]:
    """The ``most`` rows that have most of what is sorted by, of spend where that is the name."""
    figure = FIGURES.get(sort.removeprefix("-"), FIGURES["cost"])
    return sorted(rows, key=lambda one: figure(one.total), reverse=True)[:most]


async def shortened(row: Row, most: int, most_inner: int) -> Row:
    """With ``most`` rows at most and ``most_inner`` in each, of which the last stands for all others."""
    rows = [
        Row(one.names, one.total, await _first(one.rows, most_inner), one.others)
        for one in await _first(row.rows, most)
    ]
    return Row(row.names, row.total, rows)


async def _first(rows: list[Row], most: int) -> list[Row]:
    if len(rows) <= most:
        return rows
    kept, left = rows[: most - 1], rows[most - 1 :]
    total = Total()
    async for one in paced(left):
        total.add(one.total)
    return [*kept, Row((), total, others=len(left))]
