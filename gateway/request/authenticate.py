"""Who sends a request: the key it bears, or why it may come without one."""

from __future__ import annotations

import time
from ipaddress import ip_address

from aiohttp import web

from gateway.api import ApiError
from gateway.clients import Client
from gateway.keys import LIVE
from gateway.peer import host_name

_KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key")
_PROXY_HEADERS = ("forwarded", "via", "x-forwarded-")
"""What the names of headers that proxies add begin with."""
_REFUSED = "The API key is missing or not valid."
_NO_CLIENTS = (
    "No clients are configured, so only requests from this machine itself are served. Add a client to "
    "`api_keys` in the configuration, or set `server.allow_anonymous: true`."
)


def authenticate(request: web.Request) -> Client:
    """The client of this request. Raises `ApiError` 401; why a key is refused is never said."""
    clients = request.app[LIVE].current.clients
    key = presented_key(request)
    if key is not None:
        client = clients.find(key, time.time())
        if client is not None:
            return client
    if not clients.exist and is_local(request):
        return clients.anonymous
    if key is None and clients.open_to_all:
        return clients.anonymous
    raise refusal(_REFUSED if clients.exist else _NO_CLIENTS)


def refusal(message: str = _REFUSED) -> ApiError:
    """401, in the one form it has."""
    error = ApiError("invalid_api_key", message)
    error.headers["www-authenticate"] = "Bearer"
    return error


def presented_key(request: web.Request) -> str | None:
    """The key in the request's headers, None if there is none. Two that differ are refused."""
    headers = request.headers
    found: set[str] = set()
    for value in headers.getall("authorization", ()):
        scheme, _, key = value.partition(" ")
        if scheme.lower() != "bearer":
            raise refusal()
        found.add(key.strip())
    for name in _KEY_HEADERS:
        if name in headers:
            found.update(headers.getall(name))
    found.discard("")  # a header that a client has no key for
    if len(found) > 1:
        raise refusal("Two different API keys in one request.")
    return found.pop() if found else None


def is_local(request: web.Request) -> bool:
    """Whether the request was made on this machine by what was meant to make it: not by a proxy on behalf
    of somebody else, and not by a web page in a browser."""
    headers = request.headers
    if is_forwarded(request) or not is_loopback_peer(request):
        return False
    if not _is_loopback_name(headers.get("host", "")):
        return False
    origin = headers.get("origin")
    if origin is not None and not _is_loopback_name(origin.partition("://")[2]):
        return False
    return headers.get("sec-fetch-site") != "cross-site"


def is_forwarded(request: web.Request) -> bool:
    """Whether a proxy made the request on behalf of somebody else, and says so."""
    return any(name.lower().startswith(_PROXY_HEADERS) for name in request.headers)


def is_loopback_peer(request: web.Request) -> bool:
    """Whether the connection comes from this machine: loopback or a Unix socket."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    if not isinstance(peer, tuple):
        return isinstance(peer, str | bytes)  # a Unix socket's; None is a peer that has gone
    try:
        return _is_loopback_address(str(peer[0]))
    except ValueError:
        return False


def _is_loopback_address(text: str) -> bool:
    address = ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _is_loopback_name(host: str) -> bool:
    """``host`` may have a port."""
    name = host_name(host)
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return _is_loopback_address(name)
    except ValueError:
        return False
