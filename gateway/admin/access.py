"""Who may use the admin API, and from where."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from aiohttp import web

from gateway.api import ApiError
from gateway.clients import key_digest
from gateway.config.listen import Tcp, Unix, parse
from gateway.keys import LIVE
from gateway.request.authenticate import presented_key


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
