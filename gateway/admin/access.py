"""Who may use the admin API, and from where."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from aiohttp import web

from gateway.admin.errors import AdminError
from gateway.api import ApiError
from gateway.clients import key_digest
from gateway.config.listen import Tcp, Unix, parse
from gateway.keys import LIVE
from gateway.peer import host_asked_for
from gateway.request.authenticate import presented_key

_OWN_PAGE = frozenset({"same-origin", "none"})


def is_admin(request: web.Request) -> bool:
    """Whether the request bears the admin key, and no other."""
    admin_key = request.app[LIVE].current.config.server.admin_api_key
    try:
        key = presented_key(request)
    except ApiError:
        return False
    if admin_key is None or key is None:
        return False
    return hmac.compare_digest(key_digest(admin_key.get_secret_value()), key_digest(key))


def unserved(request: web.Request) -> str | None:
    """Why there is no admin side for this request; None if there is."""
    server = request.app[LIVE].current.config.server
    if server.admin_api_key is None:
        return "The admin API is off: server.admin_api_key is not set."
    if server.admin_listen is not None and not on_admin_listener(request):
        return "The admin API is served on its own listener."
    return None


def check_origin(request: web.Request) -> None:
    """Refuse what a page of another origin made a browser send. Raises `AdminError` 403."""
    headers = request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    server = request.app[LIVE].current.config.server
    host = host_asked_for(request, server.trusted_proxies)
    foreign = origin is not None and origin.lower().partition("://")[2] != host
    if foreign or (site is not None and site not in _OWN_PAGE):
        raise AdminError(403, "Calls from pages of another origin are refused.")


def on_admin_listener(request: web.Request) -> bool:
    """Whether the request came in on ``server.admin_listen``."""
    address = request.app[LIVE].current.config.server.admin_listen
    if address is None or request.transport is None:
        return False
    name = request.transport.get_extra_info("sockname")
    match parse(address):
        case Unix(path):
            return bool(name == path)
        case Tcp(host, port):
            return isinstance(name, tuple) and name[1] == port and _may_be(host, name[0])
        case _:
            return False


def _may_be(host: str | None, address: str) -> bool:
    """Whether who listens on ``host`` can be reached at ``address``; a name may stand for any."""
    try:
        given = ip_address(host or "::")
    except ValueError:
        return True
    return given.is_unspecified or given == ip_address(address)
