"""Health endpoints for load balancers and supervisors; they need no key and reveal no topology."""

from __future__ import annotations

import time

from aiohttp import web

from gateway import __version__
from gateway.keys import LIVE


async def livez(request: web.Request) -> web.Response:
    """200 as long as the process serves."""
    return web.json_response(_report(request, "ok"))


async def readyz(request: web.Request) -> web.Response:
    """200 when new requests are welcome; 503 before the start is complete, while draining, and while limits
    cannot be checked where that closes the gateway."""
    live = request.app[LIVE]
    report = _report(request, "ok")
    trouble = live.store.trouble()
    if trouble is not None:
        report["store"] = "degraded"
    if live.draining:
        report["status"] = "draining"
    elif not live.ready:
        report["status"] = "starting"
    elif trouble is not None and trouble.limits and live.site.on_trouble == "closed":
        report["status"] = "closed"
    return web.json_response(report, status=200 if report["status"] == "ok" else 503)


def _report(request: web.Request, status: str) -> dict[str, object]:
    uptime = time.monotonic() - request.app[LIVE].started
    return {"status": status, "version": __version__, "uptime_seconds": round(uptime, 3)}
