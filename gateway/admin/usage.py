"""What the requests of a time come to: in groups, as series, and for one client or provider."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.admin.breakdown import Breakdown, breakdown
from gateway.admin.errors import AdminError
from gateway.admin.ledger import ask, dollars, latency_json, total_json
from gateway.admin.pace import paced
from gateway.admin.state import AdminState
from gateway.api import Dimension, Filter, Total
from gateway.request.errors import quoted

DAY = 86400.0
MAX_POINTS = 10_000
MINUTE = 60
SERIES = ("latency", "tokens", "cost", "requests", "errors", "all")
_USUAL_POINTS = 240


async def table(state: AdminState, wanted: Filter, group_by: Sequence[Dimension]) -> dict[str, Any]:
    """A row for each group, which names it, and the total of all."""
    totals = await ask(state, lambda: state.live.store.totals(wanted, group_by))
    return {
        "group_by": list(group_by),
        "start": wanted.start,
        "end": wanted.end,
        "rows": [{**dict(zip(group_by, total.group, strict=True)), **total_json(total)} for total in totals],
        "total": total_json(_sum(totals)),
    }


async def stats(state: AdminState, wanted: Filter, group_by: Sequence[Dimension]) -> dict[str, Any]:
    """As `table`, but that the rows are ``stats``: nested in the order of ``group_by``."""
    body = await table(state, wanted, group_by)
    rows = body.pop("rows")
    return {**body, "stats": _nested(rows, group_by) if group_by else body["total"]}


async def series(
    state: AdminState,
    name: str,
    wanted: Filter,
    step: int | None = None,
    group_by: Sequence[Dimension] = (),
) -> dict[str, Any]:
    """One figure of `SERIES` over time, or all at once, a point for each ``step`` seconds; with ``group_by``
    that of each group, too. A range that is open is the last day. Raises `AdminError` 400 for steps that
    cannot be."""
    start, end, step = _steps(wanted, step)
    found = await breakdown(state, replace(wanted, start=start, end=end), step, group_by)
    steps = await found.by_step()
    points = [_point(name, moment, steps.get(moment, Total())) for moment in range(start, end, step)]
    body = {"name": name, "start": start, "end": end, "step": step, "points": points}
    return {**body, "groups": await _groups(name, found, group_by)} if group_by else body


async def whole(state: AdminState, span: Filter) -> dict[str, Any]:
    """Totals of all requests."""
    return _totals(span, await _whole(state, span))


async def of_client(state: AdminState, id: str, span: Filter) -> dict[str, Any]:
    """Totals of one client's requests. Raises `AdminError` 404."""
    total = await _whole(state, replace(span, client=id))
    if not total.requests and id not in state.live.managed.clients:
        raise AdminError(404, f"There is no client {quoted(id)}, and no request of one.")
    return _totals(span, total, client=id)


async def of_provider(state: AdminState, id: str, span: Filter) -> dict[str, Any]:
    """Totals of one provider's requests. Raises `AdminError` 404."""
    total = await _whole(state, replace(span, provider=id))
    if not total.requests and id not in state.live.current.catalog.services:
        raise AdminError(404, f"There is no provider {quoted(id)}, and no request to one.")
    return _totals(span, total, provider=id)


async def _groups(name: str, found: Breakdown, group_by: Sequence[Dimension]) -> list[dict[str, Any]]:
    """The points of each group, but those that are empty."""
    return [
        {
            **dict(zip(group_by, group, strict=True)),
            "points": [_point(name, moment, total) for moment, total in steps],
        }
        async for group, steps in paced(sorted(found.steps_by_group().items()))
    ]


async def _whole(state: AdminState, wanted: Filter) -> Total:
    return _sum(await ask(state, lambda: state.live.store.totals(wanted, ())))


def _totals(span: Filter, total: Total, **names: str) -> dict[str, Any]:
    return {**names, "start": span.start, "end": span.end, **total_json(total)}


def _steps(span: Filter, step: int | None) -> tuple[int, int, int]:
    """Start, end and step in whole minutes; the last day, in few steps, where nothing else is asked for.
    Raises `AdminError` 400 for more points than anybody can read."""
    end = time.time() if span.end is None else span.end
    start = max(end - DAY, 0.0) if span.start is None else span.start
    if start > end:
        raise AdminError(400, "start: is in the future." if span.end is None else "end: is before start.")
    if step is None:
        step = max(math.ceil((end - start) / _USUAL_POINTS / MINUTE), 1) * MINUTE
    if step % MINUTE:
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
        case "errors":
            return {"timestamp": moment, "value": total.errors}
        case _:
            return {"timestamp": moment, "value": total.requests, **total_json(total)}


def _sum(totals: Sequence[Total]) -> Total:
    everything = Total()
    for total in totals:
        everything.add(total)
    return everything


def _nested(rows: Sequence[dict[str, Any]], group_by: Sequence[Dimension]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for row in rows:
        *outer, last = [row.pop(name) for name in group_by]
        inner = nested
        for name in outer:
            inner = inner.setdefault(name, {})
        inner[last] = row
    return nested
