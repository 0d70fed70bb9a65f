"""``Expect: 100-continue``: the go-ahead is given when the body is wanted, not before."""

from __future__ import annotations

from aiohttp import web

from gateway.api import ApiError
from gateway.request.errors import error_response


async def expect(request: web.Request) -> web.StreamResponse | None:
    """Leave 100-continue to whoever reads the body; refuse every other expectation (RFC 9110, 10.1.1)."""
    if request.headers.get("expect", "").lower() == "100-continue":
        return None
    return error_response(request, ApiError("expectation_failed", "Only 100-continue can be expected."))
