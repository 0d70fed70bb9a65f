"""The dashboard on one page: its sections, which all pass one border."""

from __future__ import annotations

from aiohttp import web

from gateway.admin.pages import (
    audit,
    clients,
    config,
    login,
    models,
    overview,
    playground,
    providers,
    requests,
    static,
    usage,
)
from gateway.admin.pages.border import border, harden
from gateway.admin.pages.render import set_up
from gateway.admin.pages.static import STATIC, Static
from gateway.admin.state import ADMIN, AdminState
from gateway.keys import LIVE

SECTIONS = (
    overview.section,
    requests.section,
    providers.section,
    clients.section,
    models.section,
    usage.section,
    config.section,
    playground.section,
    audit.section,
)
"""In the order of the menu."""


def make_pages(state: AdminState) -> web.Application:
    """The sub-application under ``/ui``, there even while it is off, for a reload may switch it on."""
    app = web.Application(middlewares=[border])
    app[LIVE] = state.live
    app[ADMIN] = state
    app[STATIC] = Static()
    set_up(app, SECTIONS)
    app.router.add_routes((*login.routes, *static.routes))
    for section in SECTIONS:
        app.router.add_routes(section.routes)
    app.on_response_prepare.append(harden)
    return app
