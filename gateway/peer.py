"""Where a request comes from: the peer's address, or the one that a trusted proxy names."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp import web

UNIX = "127.0.0.1"
"""Who comes by a Unix socket is on this machine."""

_Address = IPv4Address | IPv6Address


def client_address(request: web.Request, trusted: Sequence[str]) -> str:
    """The address of whoever made the request.

    ``X-Forwarded-For`` is believed as far as it was written by proxies in the networks ``trusted`` (CIDR):
    read from its end, the first address that is none of theirs.
    """
    found = _peer(request)
    if not trusted or found is None:
        return str(found) if found is not None else "unknown"
    networks = [ip_network(text, strict=False) for text in trusted]
    hops = ",".join(request.headers.getall("x-forwarded-for", ())).split(",")
    for hop in reversed(hops):
        if not any(found in network for network in networks):
            break
        named = _parse(hop.strip())
        if named is None:
            break
        found = named
    return str(found)


def is_trusted_proxy(request: web.Request, trusted: Sequence[str]) -> bool:
    """Whether the peer itself is in one of the networks ``trusted``."""
    peer = _peer(request)
    return peer is not None and any(peer in ip_network(text, strict=False) for text in trusted)


def is_secure(request: web.Request, trusted: Sequence[str]) -> bool:
    """Whether the client speaks TLS, to us or to a trusted proxy."""
    if request.secure:
        return True
    return request.headers.get("x-forwarded-proto") == "https" and is_trusted_proxy(request, trusted)


def host_asked_for(request: web.Request, trusted: Sequence[str]) -> str:
    """The host, with its port, in the address that the client used."""
    named = request.headers.get("x-forwarded-host")
    if named is not None and is_trusted_proxy(request, trusted):
        return named.lower()
    return request.headers.get("host", "").lower()


def host_name(host: str) -> str:
    """The name or address in a Host header, without its port."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower().removesuffix(".")


def _peer(request: web.Request) -> _Address | None:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    if isinstance(peer, tuple):
        return _parse(str(peer[0]))
    return None if peer is None else _parse(UNIX)


def _parse(text: str) -> _Address | None:
    """An address as a peer's name or a header has it: perhaps with a zone, in brackets, or with a port."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
