"""What errors of OpenAI-shaped upstreams mean."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Kind
from gateway.dialects.chat_errors import diagnose, in_band


def error(code: object = None, kind: object = None, message: object = "why", param: object = None) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error(), Kind.CALLER),
        (400, error("invalid_api_key"), Kind.CALLER),
        (401, error("invalid_api_key", "invalid_request_error"), Kind.KEY),
        (401, b"", Kind.KEY),
        (402, error(), Kind.QUOTA),
        (403, error("unsupported_country_region_territory", "request_forbidden"), Kind.KEY),
        (403, error("model_not_found", "invalid_request_error"), Kind.MODEL),
        (404, error(), Kind.MODEL),
        (404, b"<html>", Kind.MODEL),
        (405, b"", Kind.CALLER),
        (408, b"", Kind.FAILED),
        (409, b"", Kind.CALLER),
        (413, b"", Kind.CALLER),
        (415, b"", Kind.CALLER),
        (422, b"", Kind.CALLER),
        (429, b"", Kind.LIMITED),
        (429, error("rate_limit_exceeded", "tokens"), Kind.LIMITED),
        (429, error("slow_down"), Kind.LIMITED),
        (429, error("insufficient_quota", "insufficient_quota"), Kind.QUOTA),
        (429, error("credit_balance_exhausted", "insufficient_quota"), Kind.QUOTA),
        (429, error(None, "insufficient_quota"), Kind.QUOTA),
        (429, error("429", "server_is_overloaded"), Kind.LIMITED),
        (500, error(None, "server_error"), Kind.FAILED),
        (500, error("invalid_api_key"), Kind.FAILED),
        (502, b"<html>", Kind.FAILED),
        (503, b"", Kind.FAILED),
        (503, error("server_is_overloaded", "service_unavailable_error"), Kind.OVERLOADED),
        (504, b"", Kind.TIMEOUT),
        (529, b"", Kind.OVERLOADED),
        (301, b"", Kind.FAILED),
        (999, b"", Kind.FAILED),
    ],
)
def test_kinds(status: int, body: bytes, kind: Kind) -> None:
    outcome = diagnose(status, {}, body)
    assert (outcome.kind, outcome.status) == (kind, status)


def test_the_caller_learns_what_is_wrong() -> None:
    outcome = diagnose(400, {}, error("context_length_exceeded", None, "Too\nlong", "messages"))
    assert (outcome.message, outcome.code, outcome.param) == (
        "Too long",
        "context_length_exceeded",
        "messages",
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"code":"DeploymentNotFound","message":"No such deployment"}}', "No such deployment"),
        (b'{"error":"model is missing"}', "model is missing"),
        (b'{"object":"error","message":"bad","code":400}', "bad"),
        (b'{"detail":"Not found"}', "Not found"),
        (b'{"detail":[{"msg":"bad"}]}', '[{"msg":"bad"}]'),
        (b'{"message":{"detail":["bad"]}}', '{"detail":["bad"]}'),
        (b'[{"error":{"message":"bad"}}]', "bad"),
        (b"<html>secret</html>", "the provider answered with status 400"),
        (b'"text"', "text"),
        (b"[]", "the provider answered with status 400"),
        (b"", "the provider answered with status 400"),
    ],
)
def test_messages_wherever_they_are(body: bytes, message: str) -> None:
    assert diagnose(400, {}, body).message == message


def test_codes_are_codes() -> None:
    for code in (7, "401", "with space", "x" * 65, "", None, ["a"], "a\n"):
        assert diagnose(400, {}, error(code)).code is None
    assert diagnose(404, {}, error("DeploymentNotFound")).code == "model_not_found"


def test_what_is_not_the_callers_business_is_not_repeated() -> None:
    outcome = diagnose(401, {}, error("invalid_api_key", None, "Incorrect API key provided: sk-12345678"))
    assert outcome.message == "the provider answered with status 401"
    assert outcome.code is None


def test_waiting() -> None:
    assert diagnose(429, {"retry-after": "7"}, b"").retry_after == 7
    assert diagnose(503, {"retry-after-ms": "250"}, b"").retry_after == 0.25
    assert diagnose(429, {}, b"").retry_after is None
    assert diagnose(400, {"retry-after": "7"}, b"").retry_after is None


@pytest.mark.parametrize(
    ("value", "kind", "status"),
    [
        ({"code": "rate_limit_exceeded"}, Kind.LIMITED, 0),
        ({"type": "rate_limit_error"}, Kind.LIMITED, 0),
        ({"type": "overloaded_error"}, Kind.OVERLOADED, 0),
        ({"code": "insufficient_quota"}, Kind.QUOTA, 0),
        ({"code": "context_length_exceeded"}, Kind.CALLER, 400),
        ({"type": "invalid_request_error"}, Kind.CALLER, 400),
        ({"code": "model_not_found"}, Kind.MODEL, 404),
        ({"code": 429}, Kind.LIMITED, 429),
        ({"code": "503", "type": "server_is_overloaded"}, Kind.OVERLOADED, 503),
        ({"code": 422, "message": "bad"}, Kind.CALLER, 422),
        ({"code": 200}, Kind.FAILED, 0),
        ({"code": True}, Kind.FAILED, 0),
        ({"code": ["x"], "type": {"a": 1}}, Kind.FAILED, 0),
        ("text", Kind.FAILED, 0),
        ([1], Kind.FAILED, 0),
    ],
)
def test_in_band(value: object, kind: Kind, status: int) -> None:
    outcome = in_band(value)
    assert (outcome.kind, outcome.status) == (kind, status)


@given(st.integers(100, 999), st.binary(max_size=60))
def test_any_body_is_diagnosed(status: int, body: bytes) -> None:
    assert diagnose(status, {}, body).message
