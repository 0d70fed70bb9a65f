"""Health endpoints for load balancers and supervisors; they need no key and reveal no topology."""

from __future__ import annotations

import time

from aiohttp import web

from gateway import __version__
from gateway.keys import LIVE
from gateway.runtime import Live


async def livez(request: web.Request) -> web.Response:
    """200 as long as the process serves."""
    return web.json_response(_report(request, "ok"))


async def readyz(request: web.Request) -> web.Response:
    """200 when new requests are welcome, 503 before the start is complete and while draining."""
    live = request.app[LIVE]
    if live.draining:
        return web.json_response(_report(request, "draining"), status=503)
    if not (live.ready and _store_will_do(live)):
        return web.json_response(_report(request, "starting"), status=503)
    return web.json_response(_report(request, "ok"))


def _store_will_do(live: Live) -> bool:
    """Where the loss of the store closes the gateway, the start is not complete before it was there once."""
    live.store_seen = live.store_seen or live.store.trouble() is None
    return live.store_seen or live.site.on_trouble != "closed"


def _report(request: web.Request, status: str) -> dict[str, object]:
    uptime = time.monotonic() - request.app[LIVE].started
    return {"status": status, "version": __version__, "uptime_seconds": round(uptime, 3)}
