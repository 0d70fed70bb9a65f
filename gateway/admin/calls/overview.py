"""Calls for the gateway itself."""

from __future__ import annotations

from aiohttp import web

from gateway.admin import overview
from gateway.admin.errors import answer
from gateway.admin.query import Query
from gateway.admin.state import ADMIN

MAX_ENTRIES = 1000
_LATEST_OFFSET = 2**62


async def get_health(request: web.Request) -> web.Response:
    """Every dependency with what is wrong and what to do, and what else an operator should know."""
    Query(request)
    return answer(await overview.health(request.app[ADMIN]))


async def get_plugins(request: web.Request) -> web.Response:
    """Every plugin that is installed, and why it fails to load if it does."""
    Query(request)
    return answer({"plugins": await overview.plugins(request.app[ADMIN])})


async def get_audit(request: web.Request) -> web.Response:
    """The newest entries of the audit log, newest first, and what to give as ``before`` for older ones."""
    query = Query(request, "limit", "before", "only")
    limit = query.whole("limit", 1, MAX_ENTRIES) or 100
    before = query.whole("before", 1, _LATEST_OFFSET)
    changes = query.choice("only", ("all", "changes"), "all") == "changes"
    return answer(await overview.audit(request.app[ADMIN], limit, before, changes=changes))


async def get_verified(request: web.Request) -> web.Response:
    """Whether the chain of the audit log holds."""
    Query(request)
    return answer(await overview.verify(request.app[ADMIN]))


routes = (
    web.get("/v1/health", get_health),
    web.get("/v1/plugins", get_plugins),
    web.get("/v1/audit", get_audit),
    web.get("/v1/audit/verify", get_verified),
)
