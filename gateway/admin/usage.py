"""What the requests of a time come to: in groups, as series, and for one client or provider."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from aiohttp import web

from gateway.admin.errors import AdminError, answer
from gateway.admin.ledger import (
    NAMES,
    RANGE,
    ask,
    by_names,
    dollars,
    latency_json,
    read_range,
    total_json,
)
from gateway.admin.query import Query
from gateway.api import Dimension, Filter, Total
from gateway.api.ledger import DIMENSIONS
from gateway.keys import LIVE
from gateway.request.errors import quoted

DAY = 86400.0
MAX_POINTS = 10_000
_USUAL_POINTS = 240
_MINUTE = 60
_SERIES = ("latency", "tokens", "cost", "requests", "errors")


async def get_stats(request: web.Request) -> web.Response:
    """Totals of each group, nested in the order of ``group_by``."""
    query = Query(request, "group_by", *RANGE, *NAMES)
    group_by = cast(list[Dimension], query.choices("group_by", DIMENSIONS))
    span = read_range(query)
    wanted = by_names(query, span)
    totals = await ask(request, lambda: request.app[LIVE].store.totals(wanted, group_by))
    whole = _sum(totals)
    return answer(
        {
            "group_by": group_by,
            "start": span.start,
            "end": span.end,
            "stats": _nested(totals) if group_by else total_json(whole),
            "total": total_json(whole),
        }
    )


async def get_series(request: web.Request) -> web.Response:
    """One figure over time, a point for each step."""
    query = Query(request, "name", "step", *RANGE, *NAMES)
    name = query.choice("name", _SERIES, "requests")
    start, end, step = _steps(read_range(query), query.whole("step", _MINUTE, 400 * int(DAY)))
    wanted = by_names(query, Filter(start=start, end=end))
    found = dict(await ask(request, lambda: request.app[LIVE].store.series(wanted, step)))
    points = [_point(name, moment, found.get(moment, Total())) for moment in range(start, end, step)]
    return answer({"name": name, "start": start, "end": end, "step": step, "points": points})


async def get_global(request: web.Request) -> web.Response:
    """Totals of all requests."""
    span = read_range(Query(request, *RANGE))
    return _totals(span, await _whole(request, span))


async def get_client(request: web.Request) -> web.Response:
    """Totals of one client's requests."""
    id = request.match_info["id"]
    span = read_range(Query(request, *RANGE))
    whole = await _whole(request, replace(span, client=id))
    if not whole.requests and id not in request.app[LIVE].managed.clients:
        raise AdminError(404, f"There is no client {quoted(id)}, and no request of one.")
    return _totals(span, whole, client=id)


async def get_provider(request: web.Request) -> web.Response:
    """Totals of one provider's requests."""
    id = request.match_info["id"]
    span = read_range(Query(request, *RANGE))
    whole = await _whole(request, replace(span, provider=id))
    if not whole.requests and id not in request.app[LIVE].current.catalog.services:
        raise AdminError(404, f"There is no provider {quoted(id)}, and no request to one.")
    return _totals(span, whole, provider=id)


async def _whole(request: web.Request, wanted: Filter) -> Total:
    return _sum(await ask(request, lambda: request.app[LIVE].store.totals(wanted, ())))


def _totals(span: Filter, whole: Total, **names: str) -> web.Response:
    return answer({**names, "start": span.start, "end": span.end, **total_json(whole)})


def _steps(span: Filter, step: int | None) -> tuple[int, int, int]:
    """Start, end and step in whole minutes; the last day, in few steps, where nothing else is asked for.
    Raises `AdminError` 400 for more points than anybody can read."""
    end = time.time() if span.end is None else span.end
    start = max(end - DAY, 0.0) if span.start is None else span.start
    if start > end:
        raise AdminError(400, "end: is before start.")
    if step is None:
        step = max(math.ceil((end - start) / _USUAL_POINTS / _MINUTE), 1) * _MINUTE
    if step % _MINUTE:
        raise AdminError(400, f"step: must be whole minutes, in seconds (got {step}).")
    first, last = int(start // step * step), int(math.ceil(end / step) * step)
    if (last - first) // step > MAX_POINTS:
        raise AdminError(400, f"step: this range would have more than {MAX_POINTS} points.")
    return first, last, step


def _point(name: str, moment: int, total: Total) -> dict[str, Any]:
    """The figure ``name``; latencies are mean milliseconds, null without requests."""
    match name:
        case "latency":
            latency = latency_json(total)
            return {"timestamp": moment, "value": latency["mean_ms"], **latency}
        case "tokens":
            parts = {"input": total.input_tokens, "output": total.output_tokens}
            return {"timestamp": moment, "value": sum(parts.values()), **parts}
        case "cost":
            nano = total.cost_nano
            return {"timestamp": moment, "value": dollars(nano), "cost_nano_usd": nano}
        case "requests":
            return {"timestamp": moment, "value": total.requests}
        case _:
            return {"timestamp": moment, "value": total.errors}


def _sum(totals: Sequence[Total]) -> Total:
    whole = Total()
    for total in totals:
        whole.add(total)
    return whole


def _nested(totals: Sequence[Total]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for total in totals:
        inner = nested
        for name in total.group[:-1]:
            inner = inner.setdefault(name, {})
        inner[total.group[-1]] = total_json(total)
    return nested


routes = (
    web.get("/v1/stats", get_stats),
    web.get("/v1/metrics", get_series),
    web.get("/v1/metrics/global", get_global),
    web.get("/v1/metrics/clients/{id}", get_client),
    web.get("/v1/metrics/providers/{id}", get_provider),
)
