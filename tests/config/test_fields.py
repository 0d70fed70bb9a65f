"""The types of single settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gateway.config import fields
from gateway.config.substitute import Substituted


def read(kind: Any, value: object) -> Any:
    return TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("1d", 86400),
        ("1.5h", 5400),
        (30, 30),
        (0.5, 0.5),
    ],
)
def test_durations(value: object, seconds: float) -> None:
    assert read(fields.Seconds, value) == seconds
    assert read(fields.Duration, Substituted(value)) == seconds


@pytest.mark.parametrize(
    "value", ["30", "5 m", "1:30", "-1s", -1, "1w", "9999d", True, [], float("inf"), 10**400]
)
def test_no_durations(value: object) -> None:
    with pytest.raises(ValidationError):
        read(fields.Seconds, value)


def test_a_duration_that_must_be_one_is_not_zero() -> None:
    assert read(fields.Seconds, 0) == 0
    with pytest.raises(ValidationError):
        read(fields.Duration, "0s")


@settings(max_examples=100, deadline=None)
@given(st.decimals(0, 1000, places=6, allow_nan=False))
def test_prices_are_the_decimals_that_were_written(price: Decimal) -> None:
    assert read(fields.Dollars, float(price)) == price
    assert read(fields.Dollars, Substituted(price)) == price


@pytest.mark.parametrize(
    "value", [-0.001, float("nan"), float("inf"), "0.002", True, Substituted("nan"), None]
)
def test_no_prices(value: object) -> None:
    with pytest.raises(ValidationError):
        read(fields.Dollars, value)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (fields.Whole, 5, 5),
        (fields.Whole, 1e6, 1_000_000),
        (fields.Whole, Substituted("5"), 5),
        (fields.Flag, Substituted("TRUE"), True),
        (fields.Flag, False, False),
        (fields.Ratio, Substituted("0.5"), 0.5),
        (fields.Workers, "auto", "auto"),
        (fields.Workers, 4, 4),
        (fields.Name, "openai-prod.2", "openai-prod.2"),
        (fields.Url, "http://[::1]:8000/v1/", "http://[::1]:8000/v1/"),
        (fields.Network, "10.1.2.3", "10.1.2.3"),
        (fields.Moment, 0, datetime(1970, 1, 1, tzinfo=UTC)),
        (fields.Moment, Substituted("86400"), datetime(1970, 1, 2, tzinfo=UTC)),
        (fields.Moment, "2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        (fields.Moment, "2027-01-31T12:00:00+02:00", datetime(2027, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_values(kind: Any, value: object, expected: object) -> None:
    assert read(kind, value) == expected


def test_a_moment_is_in_utc() -> None:
    assert read(fields.Moment, "2027-01-31T12:00:00+02:00").utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (fields.Whole, "5"),
        (fields.Whole, 5.5),
        (fields.Whole, -1),
        (fields.Whole, True),
        (fields.Whole, Substituted("5.0")),
        (fields.Flag, "true"),
        (fields.Flag, 1),
        (fields.Flag, Substituted("yes")),
        (fields.Ratio, 1.1),
        (fields.Weight, 0),
        (fields.Workers, 0),
        (fields.Workers, "many"),
        (fields.Name, "a:b"),
        (fields.Name, ""),
        (fields.Name, "x" * 65),
        (fields.Name, "a\n"),
        (fields.Url, "ftp://x"),
        (fields.Url, "https://"),
        (fields.Url, "https://user:pass@host"),
        (fields.Url, "https://host/?key=x"),
        (fields.Url, "https://ho st"),
        (fields.Url, "http://host:99999"),
        (fields.Network, "10.0.0.0/99"),
        (fields.Headers, {"Host": "x"}),
        (fields.Headers, {"X-A": "b\r\nc: d"}),
        (fields.Headers, {"": "x"}),
        (fields.Credential, ""),
        (fields.Credential, "a b"),
        (fields.Credential, "key\n"),
        (fields.Credential, "schlüssel"),
        (fields.Credential, 12345),
        (fields.Moment, "tomorrow"),
        (fields.Moment, 1e20),
        (fields.Text, ""),
        (fields.Text, "a\0b"),
    ],
)
def test_no_values(kind: Any, value: object) -> None:
    with pytest.raises(ValidationError):
        read(kind, value)


def test_secrets_do_not_show() -> None:
    secret = read(fields.Credential, "sk-very-secret")
    assert "secret" not in repr(secret) + str(secret)
