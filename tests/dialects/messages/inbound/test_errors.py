"""The gateway's errors in Anthropic's shape."""

from __future__ import annotations

import pytest

from gateway.api import ApiError
from gateway.api.errors import ERRORS
from gateway.dialects.messages.inbound.errors import error_body

TYPES = {
    "invalid_json": "invalid_request_error",
    "invalid_api_key": "authentication_error",
    "model_not_allowed": "permission_error",
    "model_not_found": "not_found_error",
    "unknown_url": "not_found_error",
    "method_not_allowed": "invalid_request_error",
    "request_too_large": "request_too_large",
    "rate_limit_exceeded": "rate_limit_error",
    "insufficient_quota": "rate_limit_error",
    "internal_error": "api_error",
    "upstream_error": "api_error",
    "no_provider_available": "api_error",
    "upstream_overloaded": "overloaded_error",
    "draining": "overloaded_error",
    "upstream_timeout": "timeout_error",
}


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_has_a_type(code: str) -> None:
    body = error_body(ApiError(code, "No."), "req-1")
    known = TYPES.get(code, body["error"]["type"])
    assert body == {
        "type": "error",
        "error": {"type": known, "message": "No.", "details": {"error_code": code}},
        "request_id": "req-1",
    }


def test_what_else_is_known_is_in_the_details() -> None:
    error = ApiError("rate_limit_exceeded", "No.", param="model", details={"limit": 5})
    assert error_body(error, "r")["error"]["details"] == {
        "error_code": "rate_limit_exceeded",
        "param": "model",
        "limit": 5,
    }
