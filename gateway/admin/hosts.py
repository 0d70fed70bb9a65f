"""By which names a browser may reach the admin side: what keeps a foreign site from posing as ours."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_address

from aiohttp import web

from gateway.admin.errors import AdminError
from gateway.config.listen import Tcp, parse
from gateway.config.schema_server import Server
from gateway.keys import LIVE
from gateway.peer import host_name, is_trusted_proxy
from gateway.request.errors import quoted

_OWNED_BY_NOBODY = (".localhost", ".local", ".internal", ".home.arpa")
"""Domains that no stranger can have a name in."""


def check_host(request: web.Request) -> None:
    """Refuse a name that a stranger may have pointed at us (DNS rebinding). Raises `AdminError` 421.

    With TLS such a name fits no certificate of ours; behind a trusted proxy or a Unix socket it is the
    proxy that knows its names.
    """
    server = request.app[LIVE].current.config.server
    if request.secure or _by_unix_socket(request) or is_trusted_proxy(request, server.trusted_proxies):
        return
    name = host_name(request.headers.get("host", ""))
    if not (_is_address(name) or name.endswith(_OWNED_BY_NOBODY) or name in _own_names(server)):
        raise AdminError(
            421,
            f"The admin side is not served as {quoted(name)}: add it to server.webui.hosts, or use "
            "an address or the machine's own name. A proxy in front belongs in server.trusted_proxies.",
        )


def _own_names(server: Server) -> Iterator[str]:
    yield "localhost"
    yield socket.gethostname().lower()
    yield from (host.lower() for host in server.webui.hosts)
    for address in (server.listen, server.admin_listen):
        place = parse(address) if address is not None else None
        if isinstance(place, Tcp) and place.host is not None:
            yield place.host.lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def _by_unix_socket(request: web.Request) -> bool:
    return request.transport is not None and isinstance(request.transport.get_extra_info("sockname"), str)
