"""``/metrics``: who may scrape, and the text, rendered off the event loop."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway import __version__
from gateway.admin.access import is_admin, on_admin_listener
from gateway.api import ApiError
from gateway.gauges import gauges, together
from gateway.keys import LIVE
from gateway.metrics import Metrics, Sample, Snapshot
from gateway.peers import Answers
from gateway.request.authenticate import is_forwarded, is_loopback_peer
from gateway.runtime import Live

TOPIC = "metrics"
"""Under which processes ask each other for what they have counted."""
_PROBE = 0.001
"""Seconds of the timer whose lateness is measured."""


async def metrics_handler(request: web.Request) -> web.Response:
    """Prometheus text: for this machine (not for whom a proxy on it speaks), the admin listener and the admin
    key, or for all if ``public``."""
    live = request.app[LIVE]
    config = live.current.config
    if config.server.admin_listen is not None and not on_admin_listener(request):
        raise ApiError("unknown_url", "Metrics are served on the admin listener.")
    public = config.logging.prometheus.public or on_admin_listener(request)
    local = is_loopback_peer(request) and not is_forwarded(request)
    if not (public or local or is_admin(request)):
        raise ApiError("forbidden", "Metrics need the admin key from outside this machine.")
    text = await asyncio.to_thread(_render, await live.peers.gather(TOPIC))
    return web.Response(body=text, headers={"content-type": live.metrics.content_type})


def serve_snapshots(live: Live) -> None:
    """Let this process's metrics be part of every scrape."""

    async def snapshot(_: object) -> Snapshot:
        live.metrics.gauges = [*gauges(live), Sample("event_loop_lag_seconds", (), await _lag())]
        return await asyncio.to_thread(live.metrics.snapshot)

    live.peers.serve(TOPIC, snapshot)


def _render(snapshots: Answers) -> bytes:
    service = Metrics(__version__, process=False)
    for snapshot in snapshots:
        service.add(snapshot)
    service.whole = snapshots.whole
    service.gauges = [*together(service.gauges), Sample("scrape_complete", (), float(snapshots.whole))]
    return service.render()


async def _lag() -> float:
    """Seconds by which a timer fires late just now."""
    loop = asyncio.get_running_loop()
    due = loop.time() + _PROBE
    await asyncio.sleep(_PROBE)
    return max(loop.time() - due, 0.0)
