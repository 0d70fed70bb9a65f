"""What the two borders of the admin side, its API and its pages, ask alike of whoever calls."""

from __future__ import annotations

import hmac
import logging

from aiohttp import web

from gateway.admin.access import check_origin
from gateway.admin.errors import AdminError
from gateway.admin.hosts import check_host
from gateway.admin.login import COOKIE, check_rate, credentials
from gateway.admin.rate import SESSION_CALLS
from gateway.admin.sessions import csrf_token
from gateway.admin.state import ADMIN, CALLER, Caller
from gateway.api import ApiError, StoreUnavailable
from gateway.keys import LIVE, REQUEST_ID
from gateway.peer import client_address

log = logging.getLogger(__name__)


def address_of(request: web.Request) -> str:
    """Where the call comes from, as it is counted and audited."""
    return client_address(request, request.app[LIVE].current.config.server.trusted_proxies)


def admit_login(request: web.Request) -> None:
    """Let somebody try to log in. Counts against ``server.admin_rate_limit`` until it has succeeded.

    Raises `AdminError` 429, 403 or 421.
    """
    address = address_of(request)
    check_rate(
        request.app[ADMIN].calls.take(address, request.app[LIVE].current.config.server.admin_rate_limit)
    )
    request[CALLER] = Caller(address)
    check_host(request)
    check_origin(request)


async def find_session(request: web.Request) -> Caller | None:
    """Who calls, by the session whose cookie the request bears; None if it has ended, or there is none.

    Raises `AdminError`: 429 for too many calls, 403 for what a foreign page sent, 421 for a foreign name.
    """
    token = request.cookies.get(COOKIE)
    if not token:
        return None
    state, address = request.app[ADMIN], address_of(request)
    server = state.live.current.config.server
    check_rate(state.session_calls.take(address, server.admin_rate_limit and SESSION_CALLS))
    session = await state.sessions.find(token, credentials(server))
    if session is None:
        return None
    request[CALLER] = Caller(address)
    check_host(request)
    check_origin(request)
    return Caller(address, f"session:{session.id}", session)


def check_route(request: web.Request, what: str) -> None:
    """Refuse what there is no handler for; ``what``: such a thing, in words. Raises `AdminError` 404, 405."""
    wrong = request.match_info.http_exception
    if isinstance(wrong, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(wrong.allowed_methods))
        raise AdminError(405, f"This {what} takes {allowed}.", headers={"allow": allowed})
    if wrong is not None:
        raise AdminError(404, f"There is no such {what}.")


def check_csrf(request: web.Request, given: str) -> None:
    """Refuse a write that brings another token than that of its session. Raises `AdminError` 403."""
    right = csrf_token(request.cookies[COOKIE])
    if not hmac.compare_digest(given.encode("utf-8", "replace"), right.encode()):
        raise AdminError(403, "x-csrf-token is missing or not that of this session.")


def told(error: Exception, request: web.Request) -> AdminError:
    """What the operator is told of whatever was raised in a call."""
    if isinstance(error, AdminError):
        return error
    if isinstance(error, ApiError):
        return AdminError(error.status, error.message, headers=error.headers)
    if isinstance(error, StoreUnavailable):
        return AdminError(503, f"The store cannot be reached: {str(error).rstrip('.')}.")
    log.error("internal error", exc_info=error, extra={"request_id": request[REQUEST_ID]})
    return AdminError(500, f"Internal error; request id {request[REQUEST_ID]}.")
