"""Anthropic's errors, told by status and in-band, as diagnoses.

Source: Anthropic's "Errors" page; the texts are those of live answers. The upstream's own words are
passed on only where the client is to mend the request: elsewhere they may name keys or accounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.api import Kind, Outcome
from gateway.dialects.error_text import clean
from gateway.dialects.retry_after import retry_after

_TOO_LONG = ("prompt is too long", "exceed context limit", "exceeds the context window")
# Compared with the beginning only: a 400 may quote the request, and no client shall disable a key by it.
_NO_MONEY = ("your credit balance is too low", "you have reached your specified api usage limits")
_DISABLED = "this organization has been disabled"
_IN_BAND = {"overloaded_error": Kind.OVERLOADED, "rate_limit_error": Kind.LIMITED}
_OWN_WORDS = {
    Kind.KEY: "the provider rejected the gateway's key",
    Kind.QUOTA: "the provider account of this key has no credit left",
    Kind.LIMITED: "the provider limits the rate of this key",
    Kind.OVERLOADED: "the provider is overloaded",
    Kind.TIMEOUT: "the provider took too long",
}


def diagnose(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """What a non-2xx answer means. ``headers`` have lower-case names; ``body`` may be anything."""
    error = _error(body)
    text = error.get("message")
    text = text if isinstance(text, str) else ""
    kind, code = _classify(status, error, text.lower())
    if kind is Kind.CALLER or kind is Kind.MODEL:
        words = clean(text) or f"the provider refused the request with status {status}"
        param = "messages" if code == "context_length_exceeded" else None
        return Outcome(kind, status, words, code, param)
    words = _OWN_WORDS.get(kind, f"the provider failed with status {status}")
    wait = retry_after(headers) if kind in (Kind.LIMITED, Kind.OVERLOADED) else None
    return Outcome(kind, status, words, retry_after=wait)


def in_band(value: Mapping[str, Any]) -> Outcome:
    """What an error inside a 200 answer means: ``{"type": "error", "error": {"type", "message"}}``."""
    error = value.get("error")
    name = error.get("type") if isinstance(error, dict) else None
    kind = _IN_BAND.get(name, Kind.FAILED) if isinstance(name, str) else Kind.FAILED
    return Outcome(kind, 200, _OWN_WORDS.get(kind, "the provider reported an error within its answer"))


def broken(kind: Kind, message: str) -> Outcome:
    """A 200 answer that is none."""
    return Outcome(kind, 200, message)


def _classify(status: int, error: Mapping[str, Any], text: str) -> tuple[Kind, str | None]:
    """Kind, and the code for the client where it is the client's to mend."""
    details = error.get("details")
    spent = isinstance(details, dict) and details.get("error_code") == "enforced_spend_limit_reached"
    if status == 402 or spent or (400 <= status < 500 and text.startswith(_NO_MONEY)):
        return Kind.QUOTA, None
    if status == 401 or error.get("type") == "authentication_error" or text.startswith(_DISABLED):
        return Kind.KEY, None
    if status == 403:
        return (Kind.MODEL, "model_not_found") if "model" in text else (Kind.KEY, None)
    if status == 404:
        return Kind.MODEL, "model_not_found"
    if status == 429:
        return Kind.LIMITED, None
    if status == 529 or error.get("type") == "overloaded_error":
        return Kind.OVERLOADED, None
    if status == 504:
        return Kind.TIMEOUT, None
    if status == 413:
        return Kind.CALLER, "request_too_large"
    if 400 <= status < 500 and status != 408:
        return Kind.CALLER, "context_length_exceeded" if any(words in text for words in _TOO_LONG) else None
    return Kind.FAILED, None


def _error(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    error = value.get("error") if isinstance(value, dict) else None
    return error if isinstance(error, dict) else {}
