"""Stats, series and totals: equal to the sums of the records, and clear about what cannot be asked."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admin import ledger
from gateway.admin.errors import encode
from gateway.admin.ledger import dollars
from gateway.api import Record, StoreUnavailable, Trouble
from tests.admin.calling import administered, call
from tests.daemon.running import ADMIN, Gateway, running

MIDNIGHT = 1_763_596_800
"""2025-11-20T00:00:00Z."""


def record(number: int, **facts: Any) -> Record:
    values: dict[str, Any] = {
        "time": MIDNIGHT + number * 20.0,
        "config_version": "v",
        "request_id": f"r{number}",
        "client": ("one", "two")[number % 2],
        "operation": "chat",
        "alias": "m",
        "provider": ("up", "down", None)[number % 3],
        "key": "first",
        "model": "m",
        "status": 502 if number % 5 == 0 else 200,
        "error": "upstream_error" if number % 5 == 0 else None,
        "input_tokens": number,
        "output_tokens": 1,
        "cost_nano_usd": 10**9 + 1,
        "total_ms": number * 1.0,
        **facts,
    }
    return Record(**values)


RECORDS = [record(number) for number in range(1, 31)]


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    memory = {"type": "memory"}
    kept = {"requests": "3650d", "rollups": "3650d"}  # else the records go while they are looked at
    storage = {"config": memory, "runtime": memory, "retention": kept}
    async with running(administered(storage=storage), tmp_path) as gateway:
        await gateway.live.store.append(RECORDS)
        yield gateway


def cost(records: Iterable[Record]) -> int:
    return sum(one.cost_nano_usd or 0 for one in records)


async def test_groups_are_nested_as_asked_and_sum_up(gateway: Gateway) -> None:
    status, body = await call(gateway, "GET /stats", group_by="provider,client")
    assert status == 200
    assert body["group_by"] == ["provider", "client"]
    assert set(body["stats"]) == {"up", "down", ""}
    found = body["stats"]["up"]["two"]
    expected = [one for one in RECORDS if (one.provider, one.client) == ("up", "two")]
    assert found["queries"] == len(expected)
    assert found["errors"] == sum(one.status == 502 for one in expected)
    assert found["tokens"] == sum(one.input_tokens + one.output_tokens for one in expected)
    assert found["cost_nano_usd"] == cost(expected)
    assert found["latency"]["mean_ms"] == sum(one.total_ms for one in expected) / len(expected)
    groups = [group for inner in body["stats"].values() for group in inner.values()]
    for name in ("queries", "errors", "tokens", "cost_nano_usd"):
        assert sum(group[name] for group in groups) == body["total"][name]
    assert body["total"]["queries"] == len(RECORDS)


async def test_money_is_exact(gateway: Gateway) -> None:
    async with gateway.session.get(f"{gateway.url}/admin/v1/stats", headers=ADMIN) as response:
        body = json.loads(await response.text(), parse_float=Decimal)
    assert body["stats"]["cost"] == Decimal("30.00000003")


@given(st.integers(-(10**18), 10**18))
def test_dollars_are_nano_dollars(nano: int) -> None:
    text = encode(dollars(nano))
    assert json.loads(text, parse_float=Decimal) * 10**9 == nano


async def test_a_range_and_names_narrow_it(gateway: Gateway) -> None:
    start, end = MIDNIGHT + 60, MIDNIGHT + 240
    within = [one for one in RECORDS if start <= one.time < end and one.client == "one"]
    for moments in ((start, end), ("2025-11-20T00:01:00Z", "2025-11-20T01:04:00+01:00")):
        _, body = await call(gateway, "GET /stats", client="one", start=moments[0], end=moments[1])
        assert (body["start"], body["end"]) == (start, end)
        assert body["stats"]["queries"] == len(within)


async def test_series_have_a_point_for_each_step(gateway: Gateway) -> None:
    start, end, step = MIDNIGHT, MIDNIGHT + 1200, 120
    series = {}
    for name in ("requests", "errors", "tokens", "cost", "latency"):
        status, body = await call(gateway, "GET /metrics", name=name, start=start, end=end, step=step)
        assert status == 200
        assert (body["name"], body["start"], body["end"]) == (name, start, end)
        assert [point["timestamp"] for point in body["points"]] == list(range(start, end, step))
        series[name] = [point["value"] for point in body["points"]]
        if name == "cost":
            assert sum(point["cost_nano_usd"] for point in body["points"]) == cost(RECORDS)
    assert sum(series["requests"]) == len(RECORDS)
    assert sum(series["tokens"]) == sum(one.input_tokens + one.output_tokens for one in RECORDS)
    assert sum(series["errors"]) == sum(one.status == 502 for one in RECORDS)
    assert series["latency"][0] == 3.0
    assert series["latency"][-1] is None
    assert series["requests"][-1] == 0


async def test_series_of_groups_add_up_to_that_of_all(gateway: Gateway) -> None:
    span = {"start": str(MIDNIGHT), "end": str(MIDNIGHT + 1200), "step": "120"}
    _, body = await call(gateway, "GET /metrics", query=span, name="cost", group_by="client,provider")
    found = {(group["client"], group["provider"]): group["points"] for group in body["groups"]}
    assert len(found) == 6
    for (client, provider), points in found.items():
        mine = [one for one in RECORDS if (one.client, one.provider or "") == (client, provider)]
        assert sum(point["cost_nano_usd"] for point in points) == cost(mine)
    assert sum(point["cost_nano_usd"] for point in body["points"]) == cost(RECORDS)
    assert "groups" not in (await call(gateway, "GET /metrics", query=span))[1]


async def test_all_figures_at_once_are_those_of_the_series(gateway: Gateway) -> None:
    span = {"start": str(MIDNIGHT), "end": str(MIDNIGHT + 1200), "step": "120"}
    _, body = await call(gateway, "GET /metrics", query=span, name="all")
    fields = {"requests": "queries", "errors": "errors", "tokens": "tokens", "cost": "cost"}
    for name, field in fields.items():
        _, series = await call(gateway, "GET /metrics", query=span, name=name)
        assert [point["value"] for point in series["points"]] == [point[field] for point in body["points"]]
    assert [point["value"] for point in body["points"]] == [point["queries"] for point in body["points"]]


async def test_series_are_of_the_last_day_unless_said_otherwise(gateway: Gateway) -> None:
    await gateway.live.store.append([record(99, time=time.time() - 60)])
    status, body = await call(gateway, "GET /metrics")
    assert status == 200
    assert body["step"] % 60 == 0
    assert 100 < len(body["points"]) <= 250
    assert sum(point["value"] for point in body["points"]) == 1


@pytest.mark.parametrize(
    ("path", "records"),
    [
        ("/metrics/global", RECORDS),
        ("/metrics/clients/two", [one for one in RECORDS if one.client == "two"]),
        ("/metrics/providers/down", [one for one in RECORDS if one.provider == "down"]),
        ("/metrics/clients/one", [one for one in RECORDS if one.client == "one"]),
    ],
)
async def test_totals(gateway: Gateway, path: str, records: list[Record]) -> None:
    status, body = await call(gateway, f"GET {path}")
    assert status == 200
    assert (body["queries"], body["cost_nano_usd"]) == (len(records), cost(records))


async def test_totals_of_what_there_is_though_it_had_no_request(gateway: Gateway) -> None:
    assert (await call(gateway, "GET /metrics/providers/up", start=MIDNIGHT + 86400))[0] == 200
    for path in ("/metrics/clients/nobody", "/metrics/providers/nobody"):
        status, body = await call(gateway, f"GET {path}")
        assert status == 404
        assert "'nobody'" in body["error"]


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("/stats", {"group_by": "client,colour"}, "group_by: must be"),
        ("/stats", {"start": "yesterday"}, "start: must be a time"),
        ("/stats", {"start": "10", "end": "9"}, "end: is before start"),
        ("/stats", {"colour": "red"}, "'colour'"),
        ("/metrics", {"name": "size"}, "name: must be one of latency"),
        ("/metrics", {"step": "90"}, "whole minutes"),
        ("/metrics", {"step": "0"}, "step: must be"),
        ("/metrics", {"start": "0", "step": "60"}, "points"),
        ("/metrics/global", {"step": "60"}, "'step'"),
    ],
)
async def test_what_cannot_be_asked(gateway: Gateway, path: str, query: dict[str, str], words: str) -> None:
    status, body = await call(gateway, f"GET {path}", query=query)
    assert status == 400
    assert words in body["error"]


async def test_a_store_that_is_lost_is_503(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: object) -> None:
        raise StoreUnavailable("redis at db:6379: Connection refused.")

    for name in ("totals", "series", "requests", "request"):
        monkeypatch.setattr(gateway.live.store, name, lost)
    for path in ("/stats", "/metrics", "/metrics/global", "/requests", "/requests/x", "/requests/stream"):
        status, body = await call(gateway, f"GET {path}")
        assert status == 503
        assert body["error"].endswith("redis at db:6379: Connection refused.")
    status, body = await call(gateway, "GET /providers")  # what is known without it is shown
    assert status == 200
    assert body["providers"][0]["keys"][0]["last_24h"] is None
    for query in ("", "?sort=spend&limit=1"):
        status, body = await call(gateway, f"GET /clients{query}")
        assert (status, body["clients"][0]["usage"]) == (200, None)
    id = body["clients"][0]["id"]
    status, one = await call(gateway, f"GET /clients/{id}")
    assert (status, one) == (200, body["clients"][0])
    assert (await call(gateway, "GET /clients/nobody"))[0] == 404


async def test_a_question_that_takes_too_long_is_given_up(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(gateway.live.store, "totals", never)
    monkeypatch.setattr(ledger, "PATIENCE", 0.05)
    answers = await asyncio.gather(*(call(gateway, "GET /stats") for _ in range(8)))
    assert {status for status, _ in answers} == {504}
    monkeypatch.undo()
    assert (await call(gateway, "GET /stats"))[0] == 200  # nobody holds a place for ever


async def test_a_store_in_trouble_that_does_not_answer_is_not_asked_too_much(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    store = gateway.live.store
    trouble = Trouble("redis at db:6379: does not answer in time.", 0.0)
    monkeypatch.setattr(ledger, "PATIENCE", 0.05)
    monkeypatch.setattr(store, "trouble", lambda: trouble)
    for path, question in (("/stats", "totals"), ("/requests?limit=1", "requests")):
        monkeypatch.setattr(store, question, never)
        status, body = await call(gateway, f"GET {path}")
        assert status == 503
        assert body["error"].startswith("The store cannot be reached: no answer within")
        assert body["error"].endswith("redis at db:6379: does not answer in time.")
