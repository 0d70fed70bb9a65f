"""Errors on their way out: what a failed attempt means to the client, and the answer that says so."""

from __future__ import annotations

import logging
import math

import orjson
from aiohttp import web

from gateway.api import ApiError, Kind, Outcome
from gateway.dialects.client import ClientDialect
from gateway.keys import REQUEST_ID
from gateway.request.head import head, line
from gateway.server import Connection, Direct

log = logging.getLogger(__name__)

_BY_KIND = {
    Kind.CALLER: ("upstream_rejected", ""),
    Kind.MODEL: ("model_not_found", ""),
    Kind.KEY: (
        "upstream_auth_error",
        "The provider rejected the gateway's credentials; only the gateway's operator can mend that.",
    ),
    Kind.QUOTA: (
        "upstream_auth_error",
        "The gateway's account with the provider is out of quota; only its operator can mend that.",
    ),
    Kind.LIMITED: (
        "upstream_rate_limited",
        "Every provider key for this model is rate limited by its provider; try again later.",
    ),
    Kind.OVERLOADED: ("upstream_overloaded", "The provider is overloaded; try again later."),
    Kind.FAILED: ("upstream_error", "The provider failed to answer."),
    Kind.TIMEOUT: ("upstream_timeout", "The provider did not answer in time."),
    Kind.INVALID: ("invalid_upstream_response", "The provider's answer could not be understood."),
}
"""Code and words for each kind of failure. CALLER and MODEL carry the provider's own words; those of the
others may hold what only the operator should see."""

MAX_ECHO = 64
_NOISE = 1e-6
"""Seconds that sums of clock readings are wrong by: too little to wait a second longer for."""


def quoted(text: str) -> str:
    """A piece of the input as an error may repeat it: printable, and not more than is needed to find it."""
    return repr(text if len(text) <= MAX_ECHO else f"{text[: MAX_ECHO - 1]}…")


def from_outcome(outcome: Outcome) -> ApiError:
    """The error for a client whose last attempt ended like this."""
    code, message = _BY_KIND[outcome.kind]
    status = None
    if outcome.kind in (Kind.CALLER, Kind.MODEL):
        message = outcome.message or "The provider rejected the request."
        status = outcome.status if outcome.status in (400, 404, 409, 413, 415, 422) else None
    error = ApiError(code, message, param=outcome.param, status=status, retry_after=outcome.retry_after)
    if outcome.code and outcome.kind in (Kind.CALLER, Kind.MODEL):
        error.code = outcome.code
    return error


def draining() -> ApiError:
    """The error for a client whose request is refused or cut off because the gateway stops."""
    return ApiError("draining", "The gateway is shutting down; try again.", retry_after=1)


def internal(request_id: str) -> ApiError:
    """The error for a client whose request meets a bug of ours. To be called where that is caught: the log
    has all of it, the client its request id."""
    log.exception("internal error", extra={"request_id": request_id})
    return ApiError("internal_error", f"Internal error; request id {request_id}.")


def error_response(request: web.Request, error: ApiError, dialect: ClientDialect, lines: str) -> Direct:
    """The whole answer for an error before anything was sent. ``lines``: headers beside the error's own."""
    body = orjson.dumps(dialect.error_body(error, request[REQUEST_ID]))
    over = error.status in (408, 413) or error.code == "draining"
    close = over or not request.keep_alive or _out_of_step(request)
    lines += line("x-coo-error-source", error.source)
    for name, value in error.headers.items():
        lines += line(name, value)
    if error.retry_after is not None:
        wait = error.retry_after - _NOISE
        lines += line("retry-after", str(max(1, math.ceil(wait))))
        lines += line("retry-after-ms", str(max(1, math.ceil(wait * 1000))))
    return Direct(
        error.status, head(request, error.status, len(body), lines, close=close) + body, close=close
    )


def _out_of_step(request: web.Request) -> bool:
    """Whether nobody can say where the next request on this connection would begin."""
    held_back = isinstance(request.protocol, Connection) and request.protocol.held_back
    return held_back or request.content.exception() is not None
