"""The pages of requests: the list with its filters and pages, and one request."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from gateway.admin.pages import requests
from gateway.api import Attempt, Filter, Record, StoreUnavailable
from tests.admin.browsing import Answer, Browser, browsing
from tests.admin.calling import ECHO, administered
from tests.daemon.running import running

BEGAN = time.time() // 60 * 60 - 3600
SERVED = Record(
    time=BEGAN + 0.5,
    config_version="v",
    request_id="req-served",
    client="shop",
    operation="chat",
    alias="smart",
    provider="up",
    key="first",
    model="m",
    status=200,
    attempts=[
        Attempt("up", "second", "m", 429, "limited", 100.0),
        Attempt("up", "first", "m", 200, "ok", 800.0),
    ],
    stream=True,
    cache="miss",
    input_tokens=1000,
    cached_tokens=400,
    output_tokens=50,
    reasoning_tokens=20,
    cost_nano_usd=2_500_000,
    first_token_ms=300.0,
    total_ms=1000.0,
    overhead_ms=4.0,
)
"""At the prices of `ECHO`."""
HOSTILE = "<img src=x onerror=stranger()>\u202e"


def utc(moment: float) -> str:
    """As browsers fill it in."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S}"


def failed(number: int) -> Record:
    """A request that nobody served."""
    return Record(
        time=BEGAN + 1.0 + number,
        config_version="v",
        request_id=f"req-{number}",
        client="shop",
        operation="chat",
        alias="nope",
        status=404,
        error="model_not_found",
        total_ms=2.0,
        overhead_ms=2.0,
    )


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    failing = {"id": "bad", "type": "echo", "model": "broken", "failure_rate": 1.0}
    async with (
        running(administered(ECHO, failing), tmp_path) as gateway,
        browsing(gateway) as browser,
    ):
        await browser.log_in()
        yield browser


async def keep(browser: Browser, *records: Record) -> None:
    await browser.gateway.live.store.append(records)


def rows(answer: Answer) -> list[str]:
    """The request ids' links, in their order."""
    return re.findall(r'<tr id="request-([^"]*)">', answer.text)


async def test_without_requests_it_says_how_to_send_one(browser: Browser) -> None:
    answer = await browser.get("/ui/requests")
    assert answer.status == 200
    assert "There is no request yet." in answer.words


async def test_a_row_says_all_there_is_at_a_glance(browser: Browser) -> None:
    await keep(browser, SERVED)
    (row,) = re.findall(r"<tbody>(.*)</tbody>", (await browser.get("/ui/requests")).text, re.S)
    words = " ".join(re.sub(r"<[^>]*>", " ", row).split())
    assert words == (
        f"{utc(BEGAN).replace('T', ' ')} UTC 200 shop smart → up · m 1,000 in 50 out $0.0025 "
        "1.00 s first token 300 ms 2 miss stream"
    )


async def test_filters_are_those_of_the_api(browser: Browser) -> None:
    other = replace(SERVED, id="", request_id="other", client="lab", time=SERVED.time + 60, total_ms=20_000.0)
    await keep(browser, SERVED, failed(0), other)
    ids = [SERVED.id]
    for query in (
        "client=shop&provider=up&key=first&model=m",
        "status=2xx&slower_than_ms=900&client=shop",
        "dearer_than_usd=0.002&client=shop",
        f"start={utc(BEGAN)}&end={utc(BEGAN + 1)}",
        f"start={BEGAN:.0f}&end={BEGAN + 1:.0f}&status=",
    ):
        answer = await browser.get(f"/ui/requests?{query}")
        assert (answer.status, rows(answer)) == (200, ids), query
    answer = await browser.get(f"/ui/requests?start={BEGAN:.0f}")
    assert f'value="{utc(BEGAN)}"' in answer.text
    answer = await browser.get("/ui/requests?client=nobody")
    assert "No request matches." in answer.words


async def test_what_is_often_looked_for_keeps_the_other_filters(browser: Browser) -> None:
    answer = await browser.get("/ui/requests?client=shop&status=5xx")
    assert (
        '<a href="/ui/requests?client=shop&amp;status=5xx" aria-current="true">Failed (5xx)</a>'
        in answer.text
    )
    assert '<a href="/ui/requests?client=shop&amp;slower_than_ms=10000">Over 10 s</a>' in answer.text


@pytest.mark.parametrize(
    ("query", "field", "why"),
    [
        ("status=20", "status", "must be like 404 or 4xx (got '20')."),
        ("slower_than_ms=fast", "slower_than_ms", "must be a number from 0 to 1000000000 (got 'fast')."),
        ("start=2026-02-01&end=2026-01-01", "end", "is before start."),
    ],
)
async def test_a_filter_that_cannot_be_is_said_beside_it(
    browser: Browser, query: str, field: str, why: str
) -> None:
    answer = await browser.get(f"/ui/requests?{query}&client=shop")
    assert answer.status == 400
    assert why in answer.words
    assert f'id="f-{field}-error"' in answer.text
    assert 'value="shop"' in answer.text


async def test_pages_follow_each_other_without_gap(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "ROWS", 2)
    await keep(browser, *(failed(number) for number in range(5)))
    found, path, text = [], "/ui/requests?client=shop", ""
    while path:
        answer = await browser.get(path)
        text = answer.text
        found += rows(answer)
        older = re.search(r'href="([^"]*)" rel="next"', answer.text)
        path = older[1].replace("&amp;", "&") if older else ""
    everything = await browser.gateway.live.store.requests(Filter(), 100)
    assert found == [record.id for record in everything]
    assert 'rel="first"' in text


async def test_only_the_newest_live(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "ROWS", 2)
    await keep(browser, *(failed(number) for number in range(3)))
    answer = await browser.get("/ui/requests")
    assert "data-every=" in answer.text
    older = re.search(r'href="([^"]*)" rel="next"', answer.text)
    assert older is not None
    assert "data-every=" not in (await browser.get(older[1])).text
    assert "data-every=" not in (await browser.get("/ui/requests?end=2100-01-01")).text


async def test_new_ones_come_by_themselves_and_are_never_more_than_a_page(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "EVERY", 0.01)
    monkeypatch.setattr(requests, "SHARE", 0)
    monkeypatch.setattr(requests, "ROWS", 2)
    await keep(browser, SERVED, failed(0))
    url = f"{browser.gateway.url}/ui/requests"
    async with (
        browser.session.get(url, headers={"accept": "text/event-stream"}) as response,
        asyncio.timeout(10),
    ):
        parts: list[str] = []
        while not parts:
            parts = await event(response.content)
        await keep(browser, failed(1))
        parts = []
        while not parts:
            parts = await event(response.content)
    newest = await browser.gateway.live.store.requests(Filter(), 2)
    assert re.findall(r'<tr id="request-([^"]*)">', parts[0]) == [record.id for record in newest]


async def event(content: aiohttp.StreamReader) -> list[str]:
    """The parts that the next event brings."""
    lines = (await content.readuntil(b"\n\n")).decode().splitlines()
    parts: list[str] = json.loads(lines[1].removeprefix("data: "))
    return parts


async def test_a_store_that_is_away_is_said(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: object) -> None:
        raise StoreUnavailable("it is away")

    monkeypatch.setattr(type(browser.gateway.live.store), "requests", lost)
    answer = await browser.get("/ui/requests?client=shop")
    assert answer.status == 200
    assert "The store does not answer." in answer.words
    assert 'value="shop"' in answer.text


async def test_one_request_with_its_attempts_in_time(browser: Browser) -> None:
    await keep(browser, SERVED)
    for id in (SERVED.id, SERVED.request_id):
        answer = await browser.get(f"/ui/requests/{id}")
        assert answer.status == 200
        bars = re.findall(r'<rect class="(ok|bad|own|wait)" x="([\d.]+)%" width="([\d.]+)%"', answer.text)
        assert bars == [
            ("bad", "0.0", "10.0"),
            ("ok", "10.0", "80.0"),
            ("own", "90.0", "0.4"),
            ("wait", "90.4", "9.6"),
        ]
        assert '<rect class="mark" x="30.0%"' in answer.text
        assert "1 up second m rate limited 429 100 ms" in answer.words
        assert "The gateway itself before, between and after attempts 4 ms" in answer.words


async def test_what_each_class_cost_adds_up_to_the_record(browser: Browser) -> None:
    await keep(browser, SERVED)
    words = (await browser.get(f"/ui/requests/{SERVED.id}")).words
    for line in (
        "Input 600 $0.002 $0.0012",
        "Input, cached 400 $0.002 $0.0008",
        "Output 30 $0.01 $0.0003",
        "Reasoning 20 $0.01 $0.0002",
        "Sum 1,050 $0.0025",
    ):
        assert line in words


@pytest.mark.parametrize(
    ("cost", "said"),
    [(2_500_001, "What each class cost cannot be said"), (None, "was not known when it was asked")],
)
async def test_a_cost_at_other_prices_is_not_split(browser: Browser, cost: int | None, said: str) -> None:
    record = replace(SERVED, id="", cost_nano_usd=cost)
    await keep(browser, record)
    words = (await browser.get(f"/ui/requests/{record.id}")).words
    assert said in words
    assert "Input 600 – –" in words


async def test_it_leads_to_requests_that_are_alike(browser: Browser) -> None:
    record = replace(SERVED, id="", client="a&b=c d")
    await keep(browser, record, failed(0))
    answer = await browser.get(f"/ui/requests/{record.id}")
    for link in ("client=a%26b%3Dc+d", "provider=up", "key=first", "model=m"):
        assert f'href="/ui/requests?{link}"' in answer.text
    assert rows(await browser.get("/ui/requests?client=a%26b%3Dc+d")) == [record.id]


async def test_a_request_that_reached_nobody(browser: Browser) -> None:
    record = failed(0)
    await keep(browser, record)
    words = (await browser.get(f"/ui/requests/{record.id}")).words
    assert "No upstream was asked: it was refused or ended before." in words
    assert "model_not_found" in words
    answer = await browser.get("/ui/requests/none")
    assert answer.status == 404 and "There is no request 'none', or it is no longer kept." in answer.words


async def test_hostile_names_are_text(browser: Browser) -> None:
    attempts = [Attempt(HOSTILE, HOSTILE, HOSTILE, 500, HOSTILE, 1.0)]
    record = replace(SERVED, id="", attempts=attempts)
    for name in ("request_id", "client", "operation", "alias", "provider", "key", "model", "error", "cache"):
        setattr(record, name, HOSTILE)
    await keep(browser, record)
    for path in ("/ui/requests", f"/ui/requests/{record.id}"):
        answer = await browser.get(path)
        assert answer.status == 200
        assert "<img" not in answer.text and "\u202e" not in answer.text
