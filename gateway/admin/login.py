"""Logging in to the dashboard and out of it."""

from __future__ import annotations

import hmac

from aiohttp import web

from gateway.admin.body import only, read_object, text
from gateway.admin.errors import AdminError, answer
from gateway.admin.rate import WINDOW
from gateway.admin.sessions import ABSOLUTE, csrf_token
from gateway.admin.state import ADMIN, CALLER, AdminState, Caller
from gateway.clients import key_digest
from gateway.config.schema_server import Server
from gateway.keys import LIVE
from gateway.passwords import MARK, TooMany
from gateway.peer import is_secure

COOKIE = "coo_llm_session"
MAX_PASSWORD = 1024
FAILURES = 10
"""Failed logins a minute and account, from wherever they come."""
_SOON = 1
"""Seconds after which a login that came when too many were being checked may come again."""
_WRONG = "The id or the password is wrong."


async def post_login(request: web.Request) -> web.Response:
    """Begin a session: its cookie, and the token that writes must bring in ``x-csrf-token``."""
    body = await read_object(request)
    only(body, "id", "password")
    token = await log_in(request, text(body, "id"), text(body, "password", most=MAX_PASSWORD))
    response = answer({"csrf_token": csrf_token(token), "expires_in": int(ABSOLUTE)})
    keep_session(request, response, token)
    return response


async def post_logout(request: web.Request) -> web.Response:
    """End the session that makes the call; with the admin key there is none to end."""
    response = answer({"status": "ok"})
    log_out(request, response)
    return response


async def log_in(request: web.Request, id: str, password: str) -> str:
    """The token of a new session, in place of the one that the request bears. A failure counts against the
    address, which its border has seen to, and against the account.

    Raises `AdminError`: 401 if id or password are wrong, 429 for too many failures, or too many at once.
    """
    state, caller = request.app[ADMIN], request[CALLER]
    server = state.live.current.config.server
    account = "known" if id == server.webui.admin_id else "unknown"
    check_rate(state.failures.take(account, server.admin_rate_limit and FAILURES))
    try:
        right = await _is_right(state, server, id, password)
    except TooMany:
        state.failures.give_back(account)
        raise AdminError(
            429,
            "Too many logins at once; try again in a second.",
            headers={"retry-after": str(_SOON)},
            details={"retry_after": _SOON},
        ) from None
    if not right:
        raise AdminError(401, _WRONG, headers={"www-authenticate": "Bearer"})
    state.calls.give_back(caller.address)
    state.failures.give_back(account)
    old = await state.sessions.find(request.cookies.get(COOKIE, ""), credentials(server))
    if old is not None:
        state.sessions.end(old)
    session, token = state.sessions.begin(credentials(server))
    request[CALLER] = Caller(caller.address, f"session:{session.id}", session)
    return token


def keep_session(request: web.Request, response: web.Response, token: str) -> None:
    """Let the browser keep the session's cookie."""
    secure = is_secure(request, request.app[LIVE].current.config.server.trusted_proxies)
    response.set_cookie(
        COOKIE, token, httponly=True, samesite="Strict", path="/", secure=secure, max_age=int(ABSOLUTE)
    )


def log_out(request: web.Request, response: web.Response) -> None:
    """End the session that makes the call, if one does, and let the browser forget it."""
    session = request[CALLER].session
    if session is not None:
        request.app[ADMIN].sessions.end(session)
    response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")


def check_rate(wait: float) -> None:
    """Refuse a call that has to wait. Raises `AdminError` 429."""
    if wait > 0:
        seconds = max(1, int(wait + 1))
        raise AdminError(
            429,
            f"Too many admin calls or failed logins; try again in {seconds} s.",
            headers={"retry-after": str(seconds)},
            details={"retry_after": seconds, "window_seconds": WINDOW},
        )


def credentials(server: Server) -> bytes:
    """What a session depends on: it ends when any of it changes."""
    key, password = server.admin_api_key, server.webui.admin_password
    parts = [
        server.webui.admin_id,
        key.get_secret_value() if key else "",
        password.get_secret_value() if password else "",
    ]
    return b"".join(key_digest(part) for part in parts)


async def _is_right(state: AdminState, server: Server, given_id: str, given: str) -> bool:
    known = server.webui.admin_password or server.admin_api_key
    assert known is not None  # without an admin key there is no admin API
    secret = known.get_secret_value()
    if server.webui.admin_password is not None and secret.startswith(MARK):
        right = await state.passwords.check(secret, given)
    else:
        right = hmac.compare_digest(key_digest(secret), key_digest(given))
    named = hmac.compare_digest(key_digest(server.webui.admin_id), key_digest(given_id))
    return right and named


routes = (web.post("/login", post_login), web.post("/logout", post_logout))
