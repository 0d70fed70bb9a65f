"""Logging in by a form, and out by a button."""

from __future__ import annotations

import re

from aiohttp import web

from gateway.admin.errors import AdminError, answer
from gateway.admin.login import COOKIE, MAX_PASSWORD, keep_session, log_in, log_out
from gateway.admin.pages.flash import see_other
from gateway.admin.pages.forms import FORM
from gateway.admin.pages.page import Page
from gateway.admin.pages.render import whole
from gateway.admin.sessions import csrf_token
from gateway.admin.state import CALLER

HOME = "/ui/"
LOGIN = "/ui/login"
_OURS = re.compile(r"/ui/[\w.~!$&'()*+,;=:@%/?-]*", re.ASCII).fullmatch
_MAX_ID = 256


async def get_login(request: web.Request) -> web.Response:
    """The form; who is inside already goes on."""
    onward = _onward(request.query.get("next", ""))
    if CALLER in request and request[CALLER].session is not None:
        return see_other(request, onward)
    return await _form(request, onward)


async def get_session(request: web.Request) -> web.Response:
    """The token that forms of this session bring: for pages that an earlier session has left open."""
    return answer({"csrf_token": csrf_token(request.cookies[COOKIE])})


async def post_login(request: web.Request) -> web.Response:
    """Begin a session and go to where the browser wanted to; or the form again, with what is wrong."""
    form = request[FORM]
    onward = _onward(form.get("next", ""))
    try:
        token = await log_in(request, form.get("id", "")[:_MAX_ID], form.get("password", "")[:MAX_PASSWORD])
    except AdminError as error:
        response = await _form(request, onward, error)
        response.headers.update(error.headers or {})
        return response
    response = see_other(request, onward)
    keep_session(request, response, token)
    return response


async def post_logout(request: web.Request) -> web.Response:
    """End the session."""
    response = see_other(request, LOGIN)
    log_out(request, response)
    return response


async def _form(request: web.Request, onward: str, error: AdminError | None = None) -> web.Response:
    values = {"onward": onward, "error": error, "undone": "undone" in request.query}
    return await whole(request, Page("login.html", values, error.status if error else 200))


def _onward(text: str) -> str:
    """Where to go after the login: a page of ours, or the first one."""
    return text if _OURS(text) and not text.startswith(LOGIN) else HOME


routes = (
    web.get("/login", get_login),
    web.post("/login", post_login),
    web.post("/logout", post_logout),
    web.get("/session", get_session),
)
