"""The admin API: reading the effective configuration, and reloading it."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.admin.access import is_admin, on_admin_listener
from gateway.api import ApiError
from gateway.config.masked import masked
from gateway.keys import LIVE
from gateway.reload import Reloader
from gateway.runtime import Live

RELOADER: web.AppKey[Reloader] = web.AppKey("gateway.reloader", Reloader)


def make_admin(live: Live, reloader: Reloader) -> web.Application:
    """The sub-application under ``/admin``, there even without a key, for a reload may bring one.

    Its errors are ``{"error", "details"}``.
    """
    app = web.Application(middlewares=[admins_only])
    app[LIVE] = live
    app[RELOADER] = reloader
    app.router.add_get("/v1/config", get_config)
    app.router.add_post("/v1/reload", post_reload)
    return app


@web.middleware
async def admins_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse whoever has not the admin key or comes to the wrong listener; count every call."""
    live = request.app[LIVE]
    route = request.match_info.route.resource
    name = route.canonical if route is not None else "unknown"
    response = _refusal(request) or await handler(request)
    live.metrics.admin_request(name, response.status)
    return response


def _refusal(request: web.Request) -> web.Response | None:
    server = request.app[LIVE].current.config.server
    if server.admin_api_key is None:
        return _error(404, "The admin API is off: server.admin_api_key is not set.")
    if server.admin_listen is not None and not on_admin_listener(request):
        return _error(404, "The admin API is served on its own listener.")
    try:
        admitted = is_admin(request)
    except ApiError:  # two keys
        admitted = False
    if not admitted:
        return _error(401, "The admin key is missing or not valid.", {"www-authenticate": "Bearer"})
    if isinstance(wrong := request.match_info.http_exception, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(wrong.allowed_methods))
        return _error(405, f"This admin call takes {allowed}.", {"allow": allowed})
    if request.match_info.http_exception is not None:
        return _error(404, "There is no such admin call.")
    return None


async def get_config(request: web.Request) -> web.Response:
    """The effective configuration, secrets masked, with its version."""
    current = request.app[LIVE].current
    return web.json_response({**masked(current.config), "config_version": current.version})


async def post_reload(request: web.Request) -> web.Response:
    """Read the file again, as SIGHUP does; 422 with every error if it cannot be used."""
    result = await request.app[RELOADER].reload("admin API")
    if result.errors:
        return web.json_response({"error": "configuration invalid", "details": result.errors}, status=422)
    return web.json_response(
        {
            "status": "ok",
            "reloaded": result.changed,
            "restart_required": result.restart_required,
            "config_version": request.app[LIVE].current.version,
        }
    )


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"error": message, "details": None}, status=status, headers=headers)
