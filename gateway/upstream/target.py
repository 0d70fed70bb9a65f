"""A URL taken apart into what a connection and a request line need."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, urlsplit

from gateway.upstream.failure import FailureKind, UpstreamFailure

PORTS = {"http": 80, "https": 443}
_KEPT = "/%:@!$&'()*+,;=?-._~[]"
"""Characters that stay as they are in a request target; everything else is percent-encoded as UTF-8."""


class Origin(NamedTuple):
    """What connections are pooled by."""

    scheme: str
    host: str
    port: int


class Target(NamedTuple):
    """Where a request goes."""

    origin: Origin
    authority: str
    """The value of ``Host``."""
    path: str
    """Path and query, ready for the request line."""


def parse(url: str) -> Target:
    """Take an absolute http or https URL apart. Raises `UpstreamFailure` (INVALID) if it is none."""
    if any(char < " " or char == "\x7f" for char in url):
        raise _invalid("control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid("a malformed host or port") from None
    host = parts.hostname or ""
    if parts.scheme not in PORTS:
        raise _invalid("neither http nor https")
    if parts.username is not None:
        raise _invalid("credentials in it")
    if not host.isascii() or not host or not set(host).isdisjoint(" \"'<>\\^`{|}%,;"):
        raise _invalid("no host name we can look up (write international names in their xn-- form)")
    origin = Origin(parts.scheme, host, PORTS[parts.scheme] if port is None else port)
    authority = f"[{host}]" if ":" in host else host
    if origin.port != PORTS[parts.scheme]:
        authority = f"{authority}:{origin.port}"
    query = f"?{parts.query}" if parts.query else ""
    try:
        path = quote((parts.path or "/") + query, safe=_KEPT)
    except UnicodeEncodeError:
        raise _invalid("characters that are not text") from None
    return Target(origin, authority, path)


def _invalid(what: str) -> UpstreamFailure:
    return UpstreamFailure(FailureKind.INVALID, f"The upstream's URL is not usable: {what}.")
