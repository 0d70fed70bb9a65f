"""The first page: whether all is well, why not, and what the gateway is doing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web

from gateway.admin import providers
from gateway.admin.errors import AdminError
from gateway.admin.ledger import ask
from gateway.admin.overview import health
from gateway.admin.pages.attention import Json, findings, fullest
from gateway.admin.pages.page import Page, Section
from gateway.admin.pages.ranges import Span, range_links, read_span
from gateway.admin.pages.show import shown
from gateway.admin.query import Query
from gateway.admin.state import ADMIN, AdminState
from gateway.api import Filter, StoreUnavailable, Total

EVERY = 5.0
RECENT = 300.0
"""Seconds that count as now."""

_Groups = Mapping[tuple[str, ...], Total]


async def overview(request: web.Request) -> Page:
    """The page; while the store cannot be reached, without its figures."""
    span = read_span(Query(request, "range"))
    state = request.app[ADMIN]
    standing, services = await asyncio.gather(health(state), providers.listing(state, usage=False))
    try:
        figures = await _figures(state, span)
    except (StoreUnavailable, AdminError):
        figures = None
    points, groups, recent = figures or ([], {}, Total())
    unpriced = sorted({model or "?" for (_, model), total in groups.items() if total.unpriced})
    values = {
        "span": span,
        "range_links": range_links(span),
        "health": standing,
        "known": figures is not None,
        "whole": _sum(total for _, total in points),
        "recent": recent,
        "minutes": RECENT / 60,
        "points": points,
        "providers": [_provider(service, groups) for service in services],
        "findings": findings(standing, services, figures and recent, unpriced),
    }
    return Page("overview.html", values, every=EVERY)


async def _figures(state: AdminState, span: Span) -> tuple[list[tuple[int, Total]], _Groups, Total]:
    """Of each step, of each provider and model, and of the last minutes."""
    store = state.live.store
    range_, now = Filter(start=span.start, end=span.end), Filter(start=time.time() - RECENT)
    series, groups, recent = await asyncio.gather(
        ask(state, lambda: store.series(range_, span.step)),
        ask(state, lambda: store.totals(range_, ("provider", "model"))),
        ask(state, lambda: store.totals(now, ())),
    )
    found = dict(series)
    points = [(moment, found.get(moment, Total())) for moment in span.moments()]
    return points, {total.group: total for total in groups}, _sum(recent)


def _provider(service: Json, groups: _Groups) -> dict[str, Any]:
    keys: Sequence[Json] = service["keys"]
    windows = [window for key in keys if (window := fullest(key)) is not None]
    return {
        "id": service["id"],
        "name": service["name"] or service["id"],
        "states": Counter("off" if key["switched_off"] else key["state"] for key in keys),
        "in_flight": sum(key["in_flight"] for key in keys),
        "window": max(windows, key=lambda pair: pair[1], default=None),
        "total": _sum(total for (provider, _), total in groups.items() if provider == service["id"]),
    }


def _sum(totals: Iterable[Total]) -> Total:
    whole = Total()
    for total in totals:
        whole.add(total)
    return whole


section = Section("Overview", "/", (web.get("/", shown(overview)), web.get("", shown(overview))))
