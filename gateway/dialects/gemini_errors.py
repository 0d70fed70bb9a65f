"""What Gemini's errors mean: ``{"error": {code, message, status, details}}``, at times in a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.api import Kind, Outcome
from gateway.dialects.error_text import clean
from gateway.dialects.retry_after import MAX_WAIT, duration, retry_after

Json = dict[str, Any]

_STATUSES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_OWN_WORDS = {
    Kind.KEY: "the upstream rejected the key",
    Kind.QUOTA: "the key's account has no credit left",
    Kind.LIMITED: "the upstream limits the key's rate",
    Kind.OVERLOADED: "the upstream is overloaded",
    Kind.TIMEOUT: "the upstream took too long",
    Kind.FAILED: "the upstream failed",
}
_BY_STATUS = {
    401: Kind.KEY,
    402: Kind.QUOTA,
    404: Kind.MODEL,
    408: Kind.TIMEOUT,
    429: Kind.LIMITED,
    499: Kind.FAILED,
    503: Kind.OVERLOADED,
    504: Kind.TIMEOUT,
    529: Kind.OVERLOADED,
}


def diagnose(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """What an answer that is not 2xx means. ``headers`` have lower-case names; ``body`` may be anything."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, list) and value:
        value = value[0]
    error = value.get("error") if isinstance(value, dict) else None
    return _outcome(status, headers, error if isinstance(error, dict) else {})


def reported(error: Any) -> Outcome:
    """What an error means that came in the body of a 200."""
    error = error if isinstance(error, dict) else {}
    code = error.get("code")
    if type(code) is not int or not 400 <= code <= 599:
        name = error.get("status")
        code = _STATUSES.get(name, 500) if isinstance(name, str) else 500
    return _outcome(code, {}, error)


def _outcome(status: int, headers: Mapping[str, str], error: Json) -> Outcome:
    given = error.get("message")
    message = clean(given) if isinstance(given, str) else ""
    kind = _kind(status, error, message.lower())
    if kind not in (Kind.CALLER, Kind.MODEL):
        waits = kind in (Kind.LIMITED, Kind.OVERLOADED)
        wait = (_retry_delay(error) or retry_after(headers)) if waits else None
        return Outcome(kind, status, _OWN_WORDS[kind], retry_after=wait)
    code = "model_not_found" if kind is Kind.MODEL else None
    if kind is Kind.CALLER and "token count" in message and "exceeds" in message:
        code = "context_length_exceeded"
    fallback = "does not know the model" if kind is Kind.MODEL else "rejected the request"
    return Outcome(kind, status, message or f"the upstream {fallback} (status {status})", code=code)


def _kind(status: int, error: Json, message: str) -> Kind:
    """``message`` is in lower case."""
    reasons = [reason for detail in _details(error) if isinstance(reason := detail.get("reason"), str)]
    if any(reason.startswith("API_KEY_") for reason in reasons) or "api key not valid" in message:
        return Kind.KEY
    if "BILLING_DISABLED" in reasons or ("credits" in message and "depleted" in message):
        return Kind.QUOTA
    if status == 400 and error.get("status") == "FAILED_PRECONDITION":
        if "location is not supported" in message:
            return Kind.KEY
        if "billing" in message:
            return Kind.QUOTA
    if status == 403:
        return _forbidden(reasons, message)
    if kind := _BY_STATUS.get(status):
        return kind
    return Kind.CALLER if 400 <= status < 500 else Kind.FAILED


def _forbidden(reasons: list[str], message: str) -> Kind:
    """403: about a file that the caller named, about the model, else about the key."""
    if not reasons and "access the file" in message:
        return Kind.CALLER
    return Kind.MODEL if not reasons and "model" in message else Kind.KEY


def _retry_delay(error: Json) -> float | None:
    for detail in _details(error):
        if isinstance(delay := detail.get("retryDelay"), str):
            return None if (wait := duration(delay)) is None else min(wait, MAX_WAIT)
    return None


def _details(error: Json) -> Iterator[Json]:
    details = error.get("details")
    return (
        (detail for detail in details if isinstance(detail, dict)) if isinstance(details, list) else iter(())
    )
