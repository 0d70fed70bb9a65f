"""``/metrics``: who may scrape, and the text, rendered off the event loop."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.admin.access import is_admin, on_admin_listener
from gateway.api import ApiError
from gateway.keys import LIVE
from gateway.request.authenticate import is_forwarded, is_loopback_peer


async def metrics_handler(request: web.Request) -> web.Response:
    """Prometheus text: for this machine, the admin listener and the admin key, or for all if ``public``."""
    live = request.app[LIVE]
    config = live.current.config
    if config.server.admin_listen is not None and not on_admin_listener(request):
        raise ApiError("unknown_url", "Metrics are served on the admin listener.")
    public = config.logging.prometheus.public or on_admin_listener(request)
    local = is_loopback_peer(request) and not is_forwarded(request)
    if not (public or local or is_admin(request)):
        raise ApiError("forbidden", "Metrics need the admin key from outside this machine.")
    text = await asyncio.to_thread(live.metrics.render)
    return web.Response(body=text, headers={"content-type": live.metrics.content_type})
