"""Requests that are passed on: the time that an upload takes, and what it may cost."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.api import Prices, Units, Usage
from gateway.request.account import charged
from gateway.request.operations import (
    IMAGES,
    MODERATIONS,
    RERANK,
    SPEECH,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    Operation,
)
from gateway.request.transaction import Transaction


def transaction(**known: Any) -> Transaction:
    nobody = cast(Any, None)
    return Transaction(nobody, nobody, nobody, nobody, TRANSCRIPTIONS, "id", **known)


def test_the_providers_time_begins_when_the_upload_is_there() -> None:
    timeouts = SimpleNamespace(service=SimpleNamespace(timeouts=SimpleNamespace(total=590.0)))
    assert transaction(started=100.0, target=timeouts).deadline == 690.0
    assert transaction(started=100.0, target=timeouts, upload_seconds=1000.0).deadline == 1690.0


@pytest.mark.parametrize(
    ("usage", "cost", "taken"),
    [(None, None, 0), (Usage(5), 7, 7), (Usage(5, estimated=True), None, 40), (Usage(5), 0, 0)],
)
def test_what_a_budget_is_charged(usage: Usage | None, cost: int | None, taken: int) -> None:
    assert charged(transaction(usage=usage, cost=cost, reserved_cost=40)) == taken


@pytest.mark.parametrize(
    ("prices", "free"),
    [
        (Prices(Decimal(0), Decimal(0)), True),
        (Prices(Decimal(0), Decimal(0), reasoning=Decimal(0)), True),
        (Prices(Decimal(0), Decimal(0), audio_output=Decimal("0.1")), False),
        (Prices(Decimal(0), Decimal("0.1")), False),
        (Prices(Decimal(0)), False),
        (Prices(), False),
    ],
)
def test_what_is_free(prices: Prices, free: bool) -> None:
    assert prices.free is free


@pytest.mark.parametrize(
    ("operation", "body", "streams"),
    [
        (IMAGES, {"stream": True}, True),
        (IMAGES, {"stream": False}, False),
        (IMAGES, {}, False),
        (SPEECH, {"stream_format": "sse"}, True),
        (SPEECH, {"stream_format": "audio"}, False),
        (SPEECH, {"stream": True}, False),
        (MODERATIONS, {"stream": True}, False),
        (RERANK, {"stream": True}, False),
    ],
)
def test_what_is_answered_by_events(operation: Operation, body: dict[str, Any], streams: bool) -> None:
    assert bool(operation.streams(body)) is streams


@pytest.mark.parametrize(
    ("operation", "body", "units"),
    [
        (IMAGES, {"n": 3}, Units(images=3)),
        (IMAGES, {"n": None}, Units(images=1)),
        (SPEECH, {"input": "Hello"}, Units(characters=5)),
        (RERANK, {"documents": ["a"] * 99}, Units(searches=1)),
        (RERANK, {"documents": ["a"] * 100}, Units(searches=2)),
        (MODERATIONS, {"input": "Hello"}, Units()),
    ],
)
def test_what_may_be_billed_at_most(operation: Operation, body: dict[str, Any], units: Units) -> None:
    assert operation.units(body, 500) == units


def test_no_estimate_of_tokens_is_a_price_of_these() -> None:
    operations = (MODERATIONS, IMAGES, SPEECH, TRANSCRIPTIONS, TRANSLATIONS, RERANK)
    assert not any(operation.priced_by_tokens for operation in operations)
    assert [operation.name for operation in operations if not operation.writes] == ["moderations", "rerank"]
