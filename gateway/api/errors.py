"""Every error a client of the gateway can be told, and whose fault it is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Source(StrEnum):
    """Whose fault an error is: the value of ``x-coo-error-source``."""

    CALLER = "caller"
    POLICY = "policy"
    PROVIDER = "provider"
    GATEWAY = "gateway"


ERRORS: Mapping[str, tuple[int, str, Source]] = {
    # code: (status, type, source)
    "invalid_json": (400, "invalid_request_error", Source.CALLER),
    "json_too_deep": (400, "invalid_request_error", Source.CALLER),
    "missing_required_parameter": (400, "invalid_request_error", Source.CALLER),
    "invalid_type": (400, "invalid_request_error", Source.CALLER),
    "invalid_value": (400, "invalid_request_error", Source.CALLER),
    "invalid_request": (400, "invalid_request_error", Source.CALLER),
    "unsupported_parameter": (400, "invalid_request_error", Source.CALLER),
    "context_length_exceeded": (400, "invalid_request_error", Source.CALLER),
    "upstream_rejected": (400, "invalid_request_error", Source.CALLER),
    "invalid_api_key": (401, "authentication_error", Source.CALLER),
    "provider_not_allowed": (403, "permission_error", Source.POLICY),
    "model_not_allowed": (403, "permission_error", Source.POLICY),
    "price_unknown": (403, "permission_error", Source.POLICY),
    "forbidden": (403, "permission_error", Source.POLICY),
    "model_not_found": (404, "invalid_request_error", Source.CALLER),
    "unknown_url": (404, "invalid_request_error", Source.CALLER),
    "method_not_allowed": (405, "invalid_request_error", Source.CALLER),
    "request_timeout": (408, "invalid_request_error", Source.CALLER),
    "request_too_large": (413, "invalid_request_error", Source.CALLER),
    "uri_too_long": (414, "invalid_request_error", Source.CALLER),
    "unsupported_media_type": (415, "invalid_request_error", Source.CALLER),
    "expectation_failed": (417, "invalid_request_error", Source.CALLER),
    "headers_too_large": (431, "invalid_request_error", Source.CALLER),
    "rate_limit_exceeded": (429, "rate_limit_error", Source.POLICY),
    "token_limit_exceeded": (429, "rate_limit_error", Source.POLICY),
    "session_limit_exceeded": (429, "rate_limit_error", Source.POLICY),
    "parallel_limit_exceeded": (429, "rate_limit_error", Source.POLICY),
    "upstream_rate_limited": (429, "rate_limit_error", Source.PROVIDER),
    "insufficient_quota": (429, "insufficient_quota", Source.POLICY),
    "client_closed_request": (499, "invalid_request_error", Source.CALLER),
    "internal_error": (500, "api_error", Source.GATEWAY),
    "not_implemented": (501, "invalid_request_error", Source.CALLER),
    "upstream_error": (502, "api_error", Source.PROVIDER),
    "upstream_auth_error": (502, "api_error", Source.PROVIDER),
    "invalid_upstream_response": (502, "api_error", Source.PROVIDER),
    "no_provider_available": (503, "api_error", Source.PROVIDER),
    "upstream_overloaded": (503, "api_error", Source.PROVIDER),
    "overloaded": (503, "api_error", Source.GATEWAY),
    "store_unavailable": (503, "api_error", Source.GATEWAY),
    "draining": (503, "api_error", Source.GATEWAY),
    "upstream_timeout": (504, "api_error", Source.PROVIDER),
    "http_version_not_supported": (505, "invalid_request_error", Source.CALLER),
}


class ApiError(Exception):
    """An error on its way to the client. Its message is written for the person who reads it."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """``code`` is a key of `ERRORS`; ``status`` overrides the one it stands for there;
        ``retry_after`` is in seconds; ``details`` is added to the body as it is."""
        super().__init__(message)
        known_status, self.type, self.source = ERRORS[code]
        self.code = code
        self.status = known_status if status is None else status
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.details = details
        self.headers: dict[str, str] = {}

    def body(self) -> dict[str, Any]:
        """The error in OpenAI's shape: all four keys always present."""
        error: dict[str, Any] = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        if self.details is not None:
            error["details"] = dict(self.details)
        return {"error": error}


class Unsupported(Exception):
    """Raised by a provider's `prepare`: the call asks for what this upstream has no equivalent of."""

    def __init__(self, param: str, reason: str = "") -> None:
        super().__init__(f"{param}: {reason}" if reason else param)
        self.param = param
        self.reason = reason
