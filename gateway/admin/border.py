"""What every call of the admin API passes: who makes it, how often, and errors as answers."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.admin.access import is_admin, unserved
from gateway.admin.callers import address_of, admit_login, check_csrf, check_route, find_session, told
from gateway.admin.errors import AdminError
from gateway.admin.login import COOKIE, check_rate, post_login
from gateway.admin.state import ADMIN, CALLER, Caller
from gateway.admin.trail import SAFE, on_record
from gateway.api import ApiError
from gateway.clients import key_digest
from gateway.request.authenticate import presented_key

_UNAUTHORISED = "The admin key is missing or not valid."


@web.middleware
async def border(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who may call, turn what is raised into answers, count and audit the call."""
    return await on_record(request, _answer(request, handler), reads=True)


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        await _admit(request)
        return await handler(request)
    except Exception as error:
        return told(error, request).response()


async def _admit(request: web.Request) -> None:
    """Find out who calls. Raises `AdminError` for whoever may not, and for what there is not."""
    if (why := unserved(request)) is not None:
        raise AdminError(404, why)
    if request.match_info.handler is post_login:
        admit_login(request)
        return
    request[CALLER] = await _caller(request)
    check_route(request, "admin call")


async def _caller(request: web.Request) -> Caller:
    if not _bears_key(request):
        caller = await find_session(request)
        if caller is not None:
            if request.method not in SAFE:
                check_csrf(request, request.headers.get("x-csrf-token", ""))
            return caller
    server, address = request.app[ADMIN].live.current.config.server, address_of(request)
    check_rate(request.app[ADMIN].calls.take(address, server.admin_rate_limit))
    if is_admin(request):
        assert server.admin_api_key is not None
        fingerprint = key_digest(server.admin_api_key.get_secret_value()).hex()[:8]
        return Caller(address, f"key:{fingerprint}")
    request[CALLER] = Caller(address)
    message = "The session has ended: log in again." if request.cookies.get(COOKIE) else _UNAUTHORISED
    raise AdminError(401, message, headers={"www-authenticate": "Bearer"})


def _bears_key(request: web.Request) -> bool:
    try:
        return presented_key(request) is not None
    except ApiError:  # two keys, or none that can be read
        return True
