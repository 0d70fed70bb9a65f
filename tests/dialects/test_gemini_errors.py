"""What upstream errors mean."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.api import Kind
from gateway.dialects.gemini_errors import diagnose, reported

WIRE = Path(__file__).parent.parent / "wire" / "gemini"


@pytest.mark.parametrize(
    ("name", "status", "kind", "code"),
    [
        ("error_400_key", 400, Kind.KEY, None),
        ("error_400_region", 400, Kind.KEY, None),
        ("error_400_context", 400, Kind.CALLER, "context_length_exceeded"),
        ("error_400_field", 400, Kind.CALLER, None),
        ("error_403", 403, Kind.KEY, None),
        ("error_404", 404, Kind.MODEL, "model_not_found"),
        ("error_429", 429, Kind.LIMITED, None),
        ("error_503", 503, Kind.OVERLOADED, None),
    ],
)
def test_recorded_errors(name: str, status: int, kind: Kind, code: str | None) -> None:
    outcome = diagnose(status, {}, (WIRE / f"{name}.json").read_bytes())
    assert (outcome.kind, outcome.status, outcome.code) == (kind, status, code)
    assert "AIza" not in outcome.message


def test_the_wait_comes_from_retry_info_or_else_the_headers() -> None:
    body = (WIRE / "error_429.json").read_bytes()
    assert diagnose(429, {"retry-after": "5"}, body).retry_after == 34.5
    assert diagnose(429, {"retry-after": "5"}, b"").retry_after == 5.0
    assert diagnose(503, {"retry-after": "7"}, b"").retry_after == 7.0
    assert diagnose(429, {}, b"").retry_after is None


@pytest.mark.parametrize(
    "body", [b"", b"<html>502</html>", b"[]", b"null", b'{"error":"x"}', b'{"error":{"details":[5]}}']
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, Kind.FAILED),
        (400, Kind.CALLER),
        (401, Kind.KEY),
        (402, Kind.QUOTA),
        (403, Kind.KEY),
        (404, Kind.MODEL),
        (408, Kind.TIMEOUT),
        (413, Kind.CALLER),
        (429, Kind.LIMITED),
        (499, Kind.FAILED),
        (500, Kind.FAILED),
        (502, Kind.FAILED),
        (503, Kind.OVERLOADED),
        (504, Kind.TIMEOUT),
        (529, Kind.OVERLOADED),
    ],
)
def test_any_body_has_a_meaning(status: int, kind: Kind, body: bytes) -> None:
    outcome = diagnose(status, {}, body)
    assert outcome.kind is kind
    assert outcome.message and "<" not in outcome.message


@pytest.mark.parametrize(
    ("status", "name", "message", "kind"),
    [
        (400, "FAILED_PRECONDITION", "Please enable billing on project 1.", Kind.QUOTA),
        (400, "FAILED_PRECONDITION", "The File x is not in an ACTIVE state.", Kind.CALLER),
        (429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", Kind.QUOTA),
        (403, "PERMISSION_DENIED", "You do not have permission to access the model.", Kind.MODEL),
        (403, "PERMISSION_DENIED", "You do not have permission to access the File x.", Kind.CALLER),
        (403, "PERMISSION_DENIED", "The caller does not have permission", Kind.KEY),
        (400, "INVALID_ARGUMENT", "API key not valid.", Kind.KEY),
    ],
)
def test_messages_tell_apart_what_statuses_do_not(status: int, name: str, message: str, kind: Kind) -> None:
    body = orjson.dumps({"error": {"code": status, "status": name, "message": message}})
    assert diagnose(status, {}, body).kind is kind


def test_a_message_is_one_short_printable_line() -> None:
    body = orjson.dumps({"error": {"message": "a\r\n\x1b[31mb\u202e" + "x" * 5000}})
    message = diagnose(400, {}, body).message
    assert message.startswith("a [31mb x") and len(message) <= 500


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"code": 503}, Kind.OVERLOADED, 503),
        ({"status": "RESOURCE_EXHAUSTED"}, Kind.LIMITED, 429),
        ({"code": "x", "status": 5}, Kind.FAILED, 500),
        ({"code": 200}, Kind.FAILED, 500),
        ("boom", Kind.FAILED, 500),
    ],
)
def test_errors_inside_a_200(error: Any, kind: Kind, status: int) -> None:
    outcome = reported(error)
    assert (outcome.kind, outcome.status) == (kind, status)
