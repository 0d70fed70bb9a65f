"""Usage: who used what, and what it cost; in charts, in a table and as CSV that agree to the last digit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from gateway.admin.breakdown import Breakdown, breakdown
from gateway.admin.errors import AdminError
from gateway.admin.ledger import ask, dollars
from gateway.admin.pages.known_names import known_names
from gateway.admin.pages.page import Page, Section
from gateway.admin.pages.ranges import Span
from gateway.admin.pages.show import shown
from gateway.admin.pages.spreadsheet import Cell, send_csv
from gateway.admin.pages.usage_asked import ADDRESS, Asked, read, read_with_fault
from gateway.admin.pages.usage_charts import SERIES, charts
from gateway.admin.pages.usage_table import Row, arrange, leading, shortened, tree
from gateway.admin.state import ADMIN, AdminState
from gateway.api import StoreUnavailable, Total

MOST, MOST_INNER = 200, 20
"""Rows shown of groups, and of groups in one; the CSV has all."""
_PART = 500
_COLUMNS = (
    *("requests", "errors", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"),
    *("cost_usd", "unpriced_requests", "mean_ms", "p50_ms", "p95_ms"),
)
"""Of the CSV, after the names of the group."""


async def report(request: web.Request) -> Page:
    """The page. What cannot be meant is said beside its field; while the store cannot say, that is said."""
    asked, state = read_with_fault(request), request.app[ADMIN]
    figures: dict[str, Any] = {"whole": None}
    trouble = ""
    if asked.span is not None:
        try:
            figures = await _figures(state, asked, asked.span)
        except StoreUnavailable:
            trouble = "The store does not answer. Records are kept, and come back with it."
        except AdminError as error:
            trouble = error.message
    values = {
        "asked": asked,
        "names": known_names(state),
        "csv": asked.address(f"{ADDRESS}.csv"),
        "trouble": trouble,
        **figures,
    }
    return Page("usage.html", values, status=400 if asked.fault[0] else 200)


async def get_csv(request: web.Request) -> web.StreamResponse:
    """Every group, in the order of the page, with exact figures."""
    asked = read(request)
    _, whole = await _groups(request.app[ADMIN], asked)
    columns = (*asked.outer, *asked.inner, *_COLUMNS)
    return await send_csv(request, _file_name(asked), columns, _lines(whole))


async def _figures(state: AdminState, asked: Asked, span: Span) -> dict[str, Any]:
    """Everything that is counted, from one answer of the store."""
    found, whole = await _groups(state, asked)
    drawn = leading(whole.rows, asked.sort, SERIES)
    others = len(whole.rows) - len(drawn)
    return {
        "whole": await shortened(whole, MOST, MOST_INNER),
        "groups": len(whole.rows),
        "series": [
            f"#{row.label}" for row in (*drawn, *([Row((), Total(), others=others)] if others else ()))
        ],
        "others": others > 0,
        "charts": await charts(found, span, [row.names for row in drawn], others > 0),
        "unpriced": await _unpriced(state, asked) if whole.total.unpriced else [],
    }


async def _groups(state: AdminState, asked: Asked) -> tuple[Breakdown, Row]:
    assert asked.span is not None
    found = await breakdown(state, asked.wanted, asked.span.step, (*asked.outer, *asked.inner))
    whole = await tree(await found.by_group(), len(asked.outer))
    arrange(whole, asked.sort)
    return found, whole


async def _unpriced(state: AdminState, asked: Asked) -> list[tuple[str, ...]]:
    """The providers and models whose price was not known."""
    totals = await ask(state, lambda: state.live.store.totals(asked.wanted, ("provider", "model")))
    return [total.group for total in totals if total.unpriced]


def _file_name(asked: Asked) -> str:
    bounds = (asked.wanted.start or 0, asked.wanted.end or 0)
    return f"coo-llm-usage-{'-'.join(f'{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M}' for at in bounds)}.csv"


async def _lines(whole: Row) -> AsyncIterator[Sequence[Sequence[Cell]]]:
    for place in range(0, len(whole.rows), _PART):
        yield [
            [*row.names, *(() if leaf is row else leaf.names), *_line(leaf.total)]
            for row in whole.rows[place : place + _PART]
            for leaf in row.leaves()
        ]


def _line(total: Total) -> list[Cell]:
    latencies = [total.percentile_ms(share) for share in (0.5, 0.95)]
    return [
        *(total.requests, total.errors, total.input_tokens, total.cached_tokens, total.output_tokens),
        *(total.reasoning_tokens, f"{dollars(total.cost_nano):f}", total.unpriced),
        round(total.duration_us / total.requests / 1000, 3) if total.requests else None,
        *(None if one is None else round(one, 3) for one in latencies),
    ]


section = Section("Usage", "/usage", (web.get("/usage", shown(report)), web.get("/usage.csv", get_csv)))
