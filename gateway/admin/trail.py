"""What remains of a call to the admin side: a count, and a line in the audit log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Mapping
from typing import Any

from aiohttp import web

from gateway.admin.state import ADMIN, CALLER, CHANGES, QUESTION, TARGET
from gateway.keys import LIVE, REQUEST_ID
from gateway.logs import rfc3339

log = logging.getLogger(__name__)

CLIENT_GONE = 499
TOO_MANY = 429
"""Not in the audit log: whoever calls too often must not fill it. A client's own limit is another matter."""
SAFE = frozenset({"GET", "HEAD"})
"""Methods that change nothing."""
_QUESTIONS = frozenset({"/admin/v1/config/validate", "/admin/v1/route"})
"""Routes that change nothing although their questions are too long for an address."""


async def on_record(
    request: web.Request, answering: Awaitable[web.StreamResponse], *, reads: bool
) -> web.StreamResponse:
    """The answer, counted and audited; calls that change nothing are audited only with ``reads``."""
    began = time.monotonic()
    status = CLIENT_GONE
    try:
        response = await answering
        status = response.status
        return response
    finally:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unknown"
        request.app[LIVE].metrics.admin_request(route, status)
        asks = request.method in SAFE or QUESTION in request
        if CALLER in request and (status != TOO_MANY or TARGET in request) and (reads or not asks):
            await _audit(request, route, status, began)


def only_read(entry: Mapping[str, Any]) -> bool:
    """Whether the call of an entry of the audit log could change nothing."""
    route = str(entry.get("route")).removeprefix("/api")
    return entry.get("method") in SAFE or route in _QUESTIONS


async def _audit(request: web.Request, route: str, status: int, began: float) -> None:
    """Write the call down. One that was made is not undone because that fails: it is said instead."""
    audit, caller = request.app[ADMIN].audit, request[CALLER]
    if audit is None:
        return
    seconds = time.monotonic() - began
    entry = {
        "time": rfc3339(time.time() - seconds),
        "caller": caller.name,
        "address": caller.address,
        "method": request.method,
        "route": route,
        "target": {**request.match_info, **request.get(TARGET, {})},
        "status": status,
        "changes": request.get(CHANGES, []),
        "request_id": request[REQUEST_ID],
        "ms": round(seconds * 1000, 3),
    }
    try:
        await asyncio.shield(asyncio.to_thread(audit.append, entry))
    except OSError:
        log.error("audit line not written", extra={"error": audit.trouble, "route": route})
