"""Queries: what each kind of parameter takes, and that everything else is a 400 that says why."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import urlencode

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.admin.errors import AdminError
from gateway.admin.query import Query


def query(**parameters: str) -> Query:
    return Query(make_mocked_request("GET", f"/?{urlencode(parameters)}"), "x")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("1767225600", 1767225600.0),
        ("1767225600.5", 1767225600.5),
        ("2026-01-01T00:00:00Z", 1767225600.0),
        ("2026-01-01T01:00:00+01:00", 1767225600.0),
        ("2026-01-01T01:00:00 01:00", 1767225600.0),  # a plus that nobody escaped
        ("2026-01-01 00:00:00", 1767225600.0),
        ("2026-01-01", 1767225600.0),
        ("", None),
    ],
)
def test_moments(text: str, seconds: float | None) -> None:
    assert query(x=text).moment("x") == seconds


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "1e30", "yesterday", "2026-13-01", "253402300800", "☃"])
def test_no_moments(text: str) -> None:
    with pytest.raises(AdminError) as refused:
        query(x=text).moment("x")
    assert refused.value.status == 400
    assert refused.value.message.startswith("x: must be a time")


@pytest.mark.parametrize("text", ["0", "11", "1.5", "-3", "x", "٣", "9" * 30, "+3", " 3"])
def test_no_whole_numbers(text: str) -> None:
    with pytest.raises(AdminError, match="whole number from 1 to 10"):
        query(x=text).whole("x", 1, 10)


@pytest.mark.parametrize("text", ["-1", "nan", "Infinity", "x", "1e10", "sNaN"])
def test_no_decimals(text: str) -> None:
    with pytest.raises(AdminError, match="a number from 0"):
        query(x=text).decimal("x")


def test_numbers() -> None:
    assert query(x="7").whole("x", 1, 10) == 7
    assert query().whole("x", 1, 10) is None
    assert query(x="0.1").decimal("x") == Decimal("0.1")


def test_choices() -> None:
    options = ("a", "b", "c")
    assert query(x="b, a,b,").choices("x", options) == ["b", "a"]
    assert query().choices("x", options) == []
    assert query().choice("x", options, "c") == "c"
    for wrong in ("d", "A", "a;b"):
        with pytest.raises(AdminError, match="a, b, c"):
            query(x=wrong).choices("x", options)
        with pytest.raises(AdminError, match="a, b, c"):
            query(x=wrong).choice("x", options, "a")


def test_unknown_and_repeated_parameters_are_named() -> None:
    with pytest.raises(AdminError, match="'y'"):
        query(y="1")
    with pytest.raises(AdminError, match="x: is given twice"):
        Query(make_mocked_request("GET", "/?x=1&x=2"), "x")


def test_an_error_repeats_little_of_what_was_sent() -> None:
    with pytest.raises(AdminError) as refused:
        query(x="z" * 5000).moment("x")
    assert len(refused.value.message) < 200
