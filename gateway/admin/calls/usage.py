"""Calls for what the requests of a time come to."""

from __future__ import annotations

from aiohttp import web

from gateway.admin import usage
from gateway.admin.errors import answer
from gateway.admin.filters import RANGE, by_names, read_range
from gateway.admin.query import Query
from gateway.admin.state import ADMIN
from gateway.api.ledger import DIMENSIONS


async def get_stats(request: web.Request) -> web.Response:
    """Totals of each group, nested in the order of ``group_by``."""
    query = Query(request, "group_by", *RANGE, *DIMENSIONS)
    wanted = by_names(query, read_range(query))
    return answer(await usage.stats(request.app[ADMIN], wanted, query.choices("group_by", DIMENSIONS)))


async def get_series(request: web.Request) -> web.Response:
    """One figure over time, or all, a point for each step."""
    query = Query(request, "name", "step", "group_by", *RANGE, *DIMENSIONS)
    name = query.choice("name", usage.SERIES, "requests")
    step = query.whole("step", usage.MINUTE, 400 * int(usage.DAY))
    wanted, group_by = by_names(query, read_range(query)), query.choices("group_by", DIMENSIONS)
    return answer(await usage.series(request.app[ADMIN], name, wanted, step, group_by))


async def get_global(request: web.Request) -> web.Response:
    """Totals of all requests."""
    span = read_range(Query(request, *RANGE))
    return answer(await usage.whole(request.app[ADMIN], span))


async def get_client(request: web.Request) -> web.Response:
    """Totals of one client's requests."""
    span = read_range(Query(request, *RANGE))
    return answer(await usage.of_client(request.app[ADMIN], request.match_info["id"], span))


async def get_provider(request: web.Request) -> web.Response:
    """Totals of one provider's requests."""
    span = read_range(Query(request, *RANGE))
    return answer(await usage.of_provider(request.app[ADMIN], request.match_info["id"], span))


routes = (
    web.get("/v1/stats", get_stats),
    web.get("/v1/metrics", get_series),
    web.get("/v1/metrics/global", get_global),
    web.get("/v1/metrics/clients/{id}", get_client),
    web.get("/v1/metrics/providers/{id}", get_provider),
)
