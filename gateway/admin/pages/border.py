"""What every page passes: who looks, errors as pages, and headers that keep the browser strict."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import MultiDictProxy
from yarl import URL

from gateway.admin.access import unserved
from gateway.admin.callers import admit_login, check_csrf, check_route, find_session, told
from gateway.admin.errors import AdminError
from gateway.admin.hosts import check_host
from gateway.admin.pages.flash import see_other
from gateway.admin.pages.forms import CSRF_FIELD, FORM, is_form, read_form
from gateway.admin.pages.login import HOME, LOGIN, get_login, post_login
from gateway.admin.pages.render import error_page, whole
from gateway.admin.pages.replacement import serve_file
from gateway.admin.pages.static import get_static
from gateway.admin.state import CALLER
from gateway.admin.stream import wants_events
from gateway.admin.trail import SAFE, on_record
from gateway.keys import LIVE

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_OPEN_FOR_ALL = (get_login, get_static)


@web.middleware
async def border(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who may look; others log in first. Where there is no dashboard there is nothing at all."""
    webui = request.app[LIVE].current.config.server.webui
    if not webui.enabled or unserved(request) is not None:
        raise web.HTTPNotFound
    if webui.web_ui_path is not None:
        return await serve_file(request, webui.web_ui_path)
    return await on_record(request, _answer(request, handler), reads=False)


async def harden(request: web.Request, response: web.StreamResponse) -> None:
    """Put the headers on whatever is sent; a handler's own stay, and a directory of the operator's own has
    what scripts it likes."""
    own = request.app[LIVE].current.config.server.webui.web_ui_path is not None
    headers = {"content-security-policy": "frame-ancestors 'none'"} if own else {}
    for name, value in {**_HEADERS, **headers}.items():
        response.headers.setdefault(name, value)


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        if not await _admit(request):
            return _to_login(request)
        return await handler(request)
    except web.HTTPNotFound:
        error = AdminError(404, "There is no such page.")
    except Exception as exc:
        error = told(exc, request)
    response = await whole(request, error_page(error))
    response.headers.update(error.headers or {})
    return response


async def _admit(request: web.Request) -> bool:
    """Whether the request may go on as it is. Raises `AdminError` for what nobody may."""
    match = request.match_info
    if match.handler is post_login:
        admit_login(request)
        request[FORM] = MultiDictProxy(await read_form(request))
        return True
    check_host(request)
    caller = await find_session(request)
    if caller is None:
        return match.handler in _OPEN_FOR_ALL
    request[CALLER] = caller
    if request.method not in SAFE:
        await _read_write(request)
    check_route(request, "page")
    return True


async def _read_write(request: web.Request) -> None:
    """Read a form and its token; scripts that send something else bring that in a header."""
    given = request.headers.get("x-csrf-token", "")
    if is_form(request):
        form = await read_form(request)
        given = form.pop(CSRF_FIELD, given)
        request[FORM] = MultiDictProxy(form)
    check_csrf(request, given)


def _to_login(request: web.Request) -> web.Response:
    if wants_events(request):
        return web.Response(status=401, text="The session has ended: log in again.")
    if request.method not in SAFE:
        return see_other(request, f"{LOGIN}?undone=1&next={quote(_sent_from(request), safe='/')}")
    if request.path_qs == HOME:
        return see_other(request, LOGIN)
    return see_other(request, f"{LOGIN}?next={quote(request.path_qs, safe='/')}")


def _sent_from(request: web.Request) -> str:
    """The page that a form stands on: not all addresses that take one are pages."""
    try:
        return URL(request.headers.get("referer", "")).raw_path_qs
    except ValueError:
        return ""
