"""What an error of an OpenAI-shaped upstream means: as an HTTP answer, or inside of a stream or a 200."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from gateway.api import Kind, Outcome
from gateway.dialects.error_text import clean
from gateway.dialects.retry_after import retry_after

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")

_BY_CODE: Mapping[str, Kind] = {
    "insufficient_quota": Kind.QUOTA,
    "credit_balance_exhausted": Kind.QUOTA,
    "billing_hard_limit_reached": Kind.QUOTA,
    "billing_not_active": Kind.QUOTA,
    "rate_limit_exceeded": Kind.LIMITED,
    "rate_limit_error": Kind.LIMITED,
    "slow_down": Kind.LIMITED,
    "server_is_overloaded": Kind.OVERLOADED,
    "service_unavailable_error": Kind.OVERLOADED,
    "overloaded_error": Kind.OVERLOADED,
    "overloaded": Kind.OVERLOADED,
    "invalid_api_key": Kind.KEY,
    "authentication_error": Kind.KEY,
    "model_not_found": Kind.MODEL,
    "context_length_exceeded": Kind.CALLER,
    "content_filter": Kind.CALLER,
    "invalid_request_error": Kind.CALLER,
}
_BY_STATUS: Mapping[int, Kind] = {
    401: Kind.KEY,
    402: Kind.QUOTA,
    403: Kind.KEY,
    404: Kind.MODEL,
    408: Kind.FAILED,
    429: Kind.LIMITED,
    504: Kind.TIMEOUT,
    529: Kind.OVERLOADED,
}
_REFINED: Mapping[int, Kind] = {403: Kind.MODEL, 429: Kind.QUOTA, 503: Kind.OVERLOADED}
"""What a code or type can make of a status; others say what they say by themselves."""
_STATUS: Mapping[Kind, int] = {Kind.CALLER: 400, Kind.MODEL: 404}


def diagnose(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """What a non-2xx answer means. ``headers`` have lower-case names; ``body`` may be anything."""
    return _by_status(status, headers, _error_in(body))


def in_band(error: object) -> Outcome:
    """What an error object inside of a stream, or of a 200 answer, means.

    Its status is the one that the error stands for, since it came with none of its own.
    """
    found = error if isinstance(error, dict) else {"message": error}
    code = found.get("code")
    if isinstance(code, str) and len(code) == 3 and code.isdecimal():
        code = int(code)
    if type(code) is int and 400 <= code < 600:  # the status it would have had: OpenRouter, vLLM
        return _by_status(code, {}, found)
    kind = _named(found) or Kind.FAILED
    return _outcome(kind, _STATUS.get(kind, 0), {}, found)


def invalid(reason: str) -> Outcome:
    """The outcome of an answer with status 200 that is none."""
    return Outcome(Kind.INVALID, 200, f"the provider sent an invalid answer: {reason}")


def _by_status(status: int, headers: Mapping[str, str], error: Mapping[str, Any]) -> Outcome:
    kind = _BY_STATUS.get(status) or (Kind.CALLER if 400 <= status < 500 else Kind.FAILED)
    if (named := _named(error)) is not None and named is _REFINED.get(status):
        kind = named
    return _outcome(kind, status, headers, error)


def _outcome(kind: Kind, status: int, headers: Mapping[str, str], error: Mapping[str, Any]) -> Outcome:
    said = f"the provider answered with status {status}" if status else "the provider reported an error"
    if kind not in (Kind.CALLER, Kind.MODEL):
        return Outcome(kind, status, said, retry_after=retry_after(headers))
    code = error.get("code")
    if kind is Kind.MODEL:
        code = "model_not_found"
    return Outcome(
        kind,
        status,
        clean(error.get("message") or error.get("detail")) or said,
        code=code if isinstance(code, str) and _CODE.fullmatch(code) else None,
        param=clean(error.get("param")) or None,
    )


def _named(error: Mapping[str, Any]) -> Kind | None:
    """By its code or, if that says nothing, its type."""
    for name in (error.get("code"), error.get("type")):
        if isinstance(name, str) and (kind := _BY_CODE.get(name)):
            return kind
    return None


def _error_in(body: bytes) -> Mapping[str, Any]:
    """The error object, wherever an OpenAI-shaped server puts it; empty if there is none."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("error") or value
    if isinstance(value, str):
        return {"message": value}
    return value if isinstance(value, dict) else {}
