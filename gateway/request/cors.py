"""Cross-origin requests (``server.cors``), as the Fetch standard's section 3.2 has them."""

from __future__ import annotations

from aiohttp import web

from gateway.config.schema import Cors
from gateway.server import Direct

_EXPOSED = ", ".join(
    [
        *("x-request-id", "request-id", "retry-after", "retry-after-ms", "x-should-retry"),
        *("x-coo-provider", "x-coo-model", "x-coo-key", "x-coo-attempts", "x-coo-cache", "x-coo-cost"),
        *("x-coo-dropped-params", "x-coo-clamped", "x-coo-estimated", "x-coo-error-source"),
        *("x-coo-upstream-request-id", "www-authenticate"),
        *(
            f"x-ratelimit-{figure}-{kind}"
            for kind in ("requests", "tokens")
            for figure in ("limit", "remaining", "reset")
        ),
    ]
)
"""What a page may read of an answer beyond what the standard lets it: the headers of docs/api.rst."""


def preflight(request: web.Request, cors: Cors) -> web.StreamResponse | None:
    """The answer to a preflight request; None if it is none."""
    if request.method != "OPTIONS" or "access-control-request-method" not in request.headers:
        return None
    headers = _allow(request, cors)
    if headers:
        wanted = request.headers.get("access-control-request-headers", "")
        allowed = wanted if "*" in cors.allowed_headers else ", ".join(cors.allowed_headers)
        headers["access-control-allow-methods"] = ", ".join(cors.allowed_methods)
        headers["access-control-allow-headers"] = "".join(filter(str.isprintable, allowed))
        headers["access-control-max-age"] = str(cors.max_age)
    return web.Response(status=204, headers=headers)


def allow_origin(request: web.Request, response: web.StreamResponse, cors: Cors) -> None:
    """Add what lets the page that sent the request read the answer."""
    headers = _allow(request, cors)
    if not headers or response.prepared:
        return
    headers["access-control-expose-headers"] = _EXPOSED
    if isinstance(response, Direct):
        response.add_headers(headers)
    else:
        response.headers.update(headers)


def _allow(request: web.Request, cors: Cors) -> dict[str, str]:
    origin = request.headers.get("origin")
    if origin is None:
        return {}
    if "*" in cors.allowed_origins:  # credentials are for origins that were named, never for all
        return {"access-control-allow-origin": "*"}
    if origin not in cors.allowed_origins:
        return {}
    headers = {"access-control-allow-origin": origin, "vary": "origin"}
    if cors.allow_credentials:
        headers["access-control-allow-credentials"] = "true"
    return headers
