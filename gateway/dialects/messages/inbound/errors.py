"""Errors for Anthropic's clients. Source: Anthropic's "Errors" page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.api import ApiError

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OVERLOADED = frozenset({"overloaded", "upstream_overloaded", "draining"})


def error_body(error: ApiError, request_id: str) -> dict[str, Any]:
    """The error in Anthropic's shape; ``details.error_code`` is the code that OpenAI's clients get."""
    details: dict[str, Any] = {"error_code": error.code}
    if error.param is not None:
        details["param"] = error.param
    if error.details is not None:
        details |= error.details
    said = {"type": _type(error), "message": error.message, "details": details}
    return {"type": "error", "error": said, "request_id": request_id}


def error_event(error: ApiError, request_id: str) -> bytes:
    """The event that ends a begun stream."""
    return b"event: error\ndata: %b\n\n" % orjson.dumps(error_body(error, request_id))


def _type(error: ApiError) -> str:
    if error.code in _OVERLOADED:
        return "overloaded_error"
    return _TYPES.get(error.status) or ("invalid_request_error" if error.status < 500 else "api_error")
