"""Reading the effective configuration, and reloading it."""

from __future__ import annotations

from aiohttp import web

from gateway.admin.errors import AdminError, answer
from gateway.admin.state import ADMIN
from gateway.config.masked import masked
from gateway.keys import LIVE


async def get_config(request: web.Request) -> web.Response:
    """The effective configuration, secrets masked, with its version."""
    current = request.app[LIVE].current
    return answer({**masked(current.config), "config_version": current.version})


async def post_reload(request: web.Request) -> web.Response:
    """Read the file again, as SIGHUP does; 422 with every error if it cannot be used."""
    result = await request.app[ADMIN].reloader.reload("admin API")
    if result.errors:
        raise AdminError(422, "configuration invalid", details=result.errors)
    return answer(
        {
            "status": "ok",
            "reloaded": result.changed,
            "restart_required": result.restart_required,
            "config_version": request.app[LIVE].current.version,
        }
    )


routes = (web.get("/v1/config", get_config), web.post("/v1/reload", post_reload))
