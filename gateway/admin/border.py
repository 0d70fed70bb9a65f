"""What every admin call passes: who makes it, how often, errors as answers, and a line in the audit log."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.admin.access import is_admin, on_admin_listener
from gateway.admin.errors import AdminError
from gateway.admin.login import COOKIE, check_rate, credentials, post_login
from gateway.admin.rate import SESSION_CALLS
from gateway.admin.sessions import csrf_token
from gateway.admin.state import ADMIN, CALLER, CHANGES, AdminState, Caller
from gateway.api import ApiError, StoreUnavailable
from gateway.clients import key_digest
from gateway.keys import LIVE, REQUEST_ID
from gateway.logs import rfc3339
from gateway.peer import client_address, host_asked_for
from gateway.request.authenticate import presented_key

log = logging.getLogger(__name__)

CLIENT_GONE = 499
TOO_MANY = 429
"""Not in the audit log: whoever calls too often must not fill it."""
_SAFE = frozenset({"GET", "HEAD"})
_OWN_PAGE = frozenset({"same-origin", "none"})
_UNAUTHORISED = "The admin key is missing or not valid."


@web.middleware
async def border(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who may call, turn what is raised into answers, count and audit the call."""
    began = time.time()
    status = CLIENT_GONE
    try:
        response = await _answer(request, handler)
        status = response.status
        return response
    finally:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unknown"
        request.app[LIVE].metrics.admin_request(route, status)
        if CALLER in request and status != TOO_MANY:
            await _audit(request, route, status, began)


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        await _admit(request)
        return await handler(request)
    except AdminError as error:
        return error.response()
    except ApiError as error:
        return AdminError(error.status, error.message, headers=error.headers).response()
    except StoreUnavailable as exc:
        return AdminError(503, f"The store cannot be reached: {exc}.").response()
    except Exception:
        log.exception("internal error", extra={"request_id": request[REQUEST_ID]})
        return AdminError(500, f"Internal error; request id {request[REQUEST_ID]}.").response()


async def _admit(request: web.Request) -> None:
    """Find out who calls. Raises `AdminError` for whoever may not, and for what there is not."""
    state = request.app[ADMIN]
    server = state.live.current.config.server
    if server.admin_api_key is None:
        raise AdminError(404, "The admin API is off: server.admin_api_key is not set.")
    if server.admin_listen is not None and not on_admin_listener(request):
        raise AdminError(404, "The admin API is served on its own listener.")
    address = client_address(request, server.trusted_proxies)
    if request.match_info.handler is post_login:
        check_rate(state.calls.take(address, server.admin_rate_limit))  # given back if it succeeds
        request[CALLER] = Caller(address)
        _check_origin(request)
        return
    request[CALLER] = await _caller(request, state, address)
    wrong = request.match_info.http_exception
    if isinstance(wrong, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(wrong.allowed_methods))
        raise AdminError(405, f"This admin call takes {allowed}.", headers={"allow": allowed})
    if wrong is not None:
        raise AdminError(404, "There is no such admin call.")


async def _caller(request: web.Request, state: AdminState, address: str) -> Caller:
    server = state.live.current.config.server
    limit = server.admin_rate_limit
    token = request.cookies.get(COOKIE)
    if token and not _bears_key(request):
        check_rate(state.session_calls.take(address, limit and SESSION_CALLS))
        session = await state.sessions.find(token, credentials(server))
        if session is not None:
            request[CALLER] = Caller(address)
            _check_origin(request)
            given = request.headers.get("x-csrf-token", "")
            if request.method not in _SAFE and not _same(given, csrf_token(token)):
                raise AdminError(403, "x-csrf-token is missing or not that of this session.")
            return Caller(address, f"session:{session.id}", session)
    check_rate(state.calls.take(address, limit))
    if is_admin(request):
        assert server.admin_api_key is not None
        fingerprint = key_digest(server.admin_api_key.get_secret_value()).hex()[:8]
        return Caller(address, f"key:{fingerprint}")
    request[CALLER] = Caller(address)
    message = "The session has ended: log in again." if token else _UNAUTHORISED
    raise AdminError(401, message, headers={"www-authenticate": "Bearer"})


def _bears_key(request: web.Request) -> bool:
    try:
        return presented_key(request) is not None
    except ApiError:  # two keys, or none that can be read
        return True


def _check_origin(request: web.Request) -> None:
    """Refuse what a page of another origin made a browser send. Raises `AdminError` 403."""
    headers = request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    server = request.app[LIVE].current.config.server
    host = host_asked_for(request, server.trusted_proxies)
    foreign = origin is not None and origin.lower().partition("://")[2] != host
    if foreign or (site is not None and site not in _OWN_PAGE):
        raise AdminError(403, "Calls from pages of another origin are refused.")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())


async def _audit(request: web.Request, route: str, status: int, began: float) -> None:
    """Write the call down. One that was made is not undone because that fails: it is said instead."""
    audit, caller = request.app[ADMIN].audit, request[CALLER]
    if audit is None:
        return
    entry = {
        "time": rfc3339(began),
        "caller": caller.name,
        "address": caller.address,
        "method": request.method,
        "route": route,
        "target": dict(request.match_info),
        "status": status,
        "changes": request.get(CHANGES, []),
        "request_id": request[REQUEST_ID],
        "ms": round((time.time() - began) * 1000, 3),
    }
    try:
        await asyncio.shield(asyncio.to_thread(audit.append, entry))
    except OSError:
        log.error("audit line not written", extra={"error": audit.trouble, "route": route})
