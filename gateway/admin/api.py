"""The admin API on one page: its routes, which all pass one border."""

from __future__ import annotations

from aiohttp import web

from gateway.admin import login, openapi
from gateway.admin.border import border
from gateway.admin.calls import clients, config, dry_run, models, overview, providers, requests, usage
from gateway.admin.state import ADMIN, AdminState
from gateway.keys import LIVE

ROUTES = (
    *login.routes,
    *config.routes,
    *clients.routes,
    *providers.routes,
    *models.routes,
    *usage.routes,
    *requests.routes,
    *overview.routes,
    *dry_run.routes,
    *openapi.routes,
)


def make_admin(state: AdminState) -> web.Application:
    """The sub-application under ``/admin``, there even without a key, for a reload may bring one.

    Its errors are ``{"error", "details"}``.
    """
    app = web.Application(middlewares=[border])
    app[LIVE] = state.live
    app[ADMIN] = state
    app.router.add_routes(ROUTES)
    return app
