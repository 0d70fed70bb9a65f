"""Failures and what they mean."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Kind
from gateway.dialects.messages.errors import diagnose, in_band


def body(kind: str, message: str, **more: Any) -> bytes:
    return orjson.dumps(
        {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_1"}
    )


BAD = "invalid_request_error"


@pytest.mark.parametrize(
    ("status", "answer", "kind", "code"),
    [
        (400, body(BAD, "max_tokens: Field required"), Kind.CALLER, None),
        (
            400,
            body(BAD, "prompt is too long: 210000 tokens > 200000 maximum"),
            Kind.CALLER,
            "context_length_exceeded",
        ),
        (400, body(BAD, "Your credit balance is too low to access the API."), Kind.QUOTA, None),
        (400, body(BAD, "tool 'your credit balance is too low' is unknown"), Kind.CALLER, None),
        (401, body("authentication_error", "invalid x-api-key"), Kind.KEY, None),
        (402, body("billing_error", "pay"), Kind.QUOTA, None),
        (403, body("permission_error", "Your API key does not have permission"), Kind.KEY, None),
        (
            403,
            body("permission_error", "Your key may not use the model claude-x"),
            Kind.MODEL,
            "model_not_found",
        ),
        (403, b"<html>blocked</html>", Kind.KEY, None),
        (404, body("not_found_error", "model: claude-9"), Kind.MODEL, "model_not_found"),
        (408, b"", Kind.FAILED, None),
        (409, body("conflict_error", "x"), Kind.CALLER, None),
        (413, body("request_too_large", "x"), Kind.CALLER, "request_too_large"),
        (422, b"", Kind.CALLER, None),
        (429, body("rate_limit_error", "x"), Kind.LIMITED, None),
        (
            429,
            body("rate_limit_error", "x", details={"error_code": "enforced_spend_limit_reached"}),
            Kind.QUOTA,
            None,
        ),
        (500, body("api_error", "x"), Kind.FAILED, None),
        (500, body("overloaded_error", "Overloaded"), Kind.OVERLOADED, None),
        (502, b"<html>Bad Gateway</html>", Kind.FAILED, None),
        (504, body("timeout_error", "x"), Kind.TIMEOUT, None),
        (529, b"", Kind.OVERLOADED, None),
        (301, b"", Kind.FAILED, None),
        (100, b"", Kind.FAILED, None),
    ],
)
def test_statuses(status: int, answer: bytes, kind: Kind, code: str | None) -> None:
    outcome = diagnose(status, {}, answer)
    assert (outcome.kind, outcome.status, outcome.code) == (kind, status, code)


def test_only_the_callers_own_errors_are_passed_on_in_the_providers_words() -> None:
    assert diagnose(400, {}, body(BAD, "a\r\nb\x00" + "c" * 600)).message == "a b " + "c" * 495 + "…"
    secret = "key sk-ant-secret of org 12 is revoked"
    for status in (401, 402, 429, 500, 504, 529):
        assert "secret" not in diagnose(status, {}, body("any_error", secret)).message


def test_how_long_to_wait() -> None:
    headers = {"retry-after": "7"}
    assert diagnose(429, headers, b"").retry_after == 7
    assert diagnose(529, headers, b"").retry_after == 7
    assert diagnose(500, headers, b"").retry_after is None
    spent = {
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2000-01-01T00:00:00Z",
    }
    assert diagnose(429, spent, b"").retry_after == 0


@given(st.integers(100, 599), st.binary(max_size=60) | st.sampled_from([b"[]", b'{"error": []}', b"null"]))
def test_any_answer_has_a_meaning(status: int, answer: bytes) -> None:
    outcome = diagnose(status, {}, answer)
    assert outcome.message and outcome.status == status


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "overloaded_error"}, Kind.OVERLOADED),
        ({"type": "rate_limit_error"}, Kind.LIMITED),
        ({"type": "api_error", "message": "sk-ant-secret"}, Kind.FAILED),
        ({"type": ["?"]}, Kind.FAILED),
        (None, Kind.FAILED),
    ],
)
def test_in_band(error: Any, kind: Kind) -> None:
    outcome = in_band({"type": "error", "error": error})
    assert (outcome.kind, outcome.status) == (kind, 200)
    assert "secret" not in outcome.message
