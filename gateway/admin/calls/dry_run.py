"""The call for a routing dry run."""

from __future__ import annotations

from aiohttp import web

from gateway.admin import dry_run
from gateway.admin.body import read_object
from gateway.admin.errors import answer
from gateway.admin.state import ADMIN


async def post_route(request: web.Request) -> web.Response:
    """Where a chat would go now. Nothing is sent, reserved or counted."""
    return answer(await dry_run.route(request.app[ADMIN], request, await read_object(request)))


routes = (web.post("/v1/route", post_route),)
