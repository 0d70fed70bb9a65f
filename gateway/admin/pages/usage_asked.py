"""What the address of the usage page asks for, and the addresses of the same in other ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

from aiohttp import web

from gateway.admin.errors import AdminError
from gateway.admin.filters import RANGE, by_names
from gateway.admin.pages.period import FIELDS, PRESETS, read_period
from gateway.admin.pages.ranges import Span
from gateway.admin.pages.usage_table import NAME, SORTS, Row
from gateway.admin.query import Query
from gateway.api import Dimension, Filter
from gateway.api.ledger import DIMENSIONS

LEVELS: dict[str, tuple[Dimension, ...]] = {
    "client": ("client",),
    "provider": ("provider",),
    "key": ("provider", "key"),
    "model": ("model",),
}
"""What can be grouped by; a key's name means something with its provider's only."""
ADDRESS = "/ui/usage"
_ALL = ("by", "then", "sort", *FIELDS, *DIMENSIONS)


@dataclass(frozen=True, slots=True)
class Asked:
    """The range, the filters, the groups and their order."""

    fields: Mapping[str, str]
    """What is given; times as browsers write them."""
    span: Span | None = None
    """None: what is asked for cannot be meant."""
    wanted: Filter = field(default_factory=Filter)
    by: str = "client"
    then: str = ""
    sort: str = "cost"
    fault: tuple[str, str] = ("", "")
    """A field that cannot be meant, and why."""

    @property
    def outer(self) -> tuple[Dimension, ...]:
        return LEVELS[self.by]

    @property
    def inner(self) -> tuple[Dimension, ...]:
        return tuple(name for name in LEVELS.get(self.then, ()) if name not in self.outer)

    @property
    def narrowed(self) -> dict[str, str]:
        """The filters that are set."""
        return {name: self.fields[name] for name in DIMENSIONS if name in self.fields}

    def address(self, path: str = ADDRESS, **changes: str) -> str:
        """The same with some of it changed; what is empty is left out."""
        fields = {name: value for name, value in {**self.fields, **changes}.items() if value}
        return f"{path}?{urlencode(fields, errors='replace')}" if fields else path

    def ranges(self) -> list[tuple[str, str, bool]]:
        """The usual ranges, for `ui.segments`."""
        now = self.span and self.span.name
        return [
            (text, self.address(range=name, start="", end=""), name == now) for name, text in PRESETS.items()
        ]

    def sorting(self, column: str) -> tuple[str, str]:
        """The address that sorts by a column, and how it is sorted now (``aria-sort``)."""
        if self.sort.removeprefix("-") != column:
            return self.address(sort=column), ""
        falling = (column == NAME) == self.sort.startswith("-")
        other = f"-{column}" if self.sort == column else column
        return self.address(sort=other), "descending" if falling else "ascending"

    def closer(self, row: Row) -> str:
        """The address that shows one group by what is in it; none where the store knows no name of it."""
        if not row.names or not all(row.names):
            return ""
        by = self.then or ("client" if self.by == "model" else "model")
        return self.address(by=by, then="", **dict(zip(self.outer, row.names, strict=True)))


def read(request: web.Request) -> Asked:
    """Raises `AdminError` 400."""
    query = Query(request, *_ALL)
    span = read_period(query)
    fields = _given(query)
    if not span.name:
        fields |= {"start": _local(span.start), "end": _local(span.end)}
    return Asked(
        fields,
        span,
        by_names(query, Filter(start=span.start, end=span.end)),
        query.choice("by", tuple(LEVELS), "client"),
        query.choice("then", ("", *LEVELS), ""),
        query.choice("sort", SORTS, "cost"),
    )


def read_with_fault(request: web.Request) -> Asked:
    """The same, with what is wrong about a time that is filled in. Raises `AdminError` 400 for the rest."""
    try:
        return read(request)
    except AdminError as error:
        name, _, why = error.message.partition(": ")
        if name not in RANGE:
            raise
        given = _given(Query(request, *_ALL))
        return Asked({one: value for one, value in given.items() if one not in RANGE}, fault=(name, why))


def _given(query: Query) -> dict[str, str]:
    return {name: value for name in _ALL if (value := query.text(name)) is not None}


def _local(moment: float) -> str:
    """A moment as browsers fill it in, in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M")
