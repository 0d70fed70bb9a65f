"""Every key under which something hangs on the application or a request."""

from __future__ import annotations

from aiohttp import web

from gateway.clients import Client
from gateway.runtime import Live

LIVE: web.AppKey[Live] = web.AppKey("gateway.live", Live)
CLIENT: web.RequestKey[Client] = web.RequestKey("gateway.client", Client)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("gateway.request_id", str)
