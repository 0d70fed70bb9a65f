"""The call for the models."""

from __future__ import annotations

from aiohttp import web

from gateway.admin import models
from gateway.admin.errors import answer
from gateway.admin.query import Query
from gateway.admin.state import ADMIN


async def list_models(request: web.Request) -> web.Response:
    """Every name that is listed, who serves it, and at which price."""
    Query(request)
    return answer({"models": models.listing(request.app[ADMIN])})


routes = (web.get("/v1/models", list_models),)
