"""The usage page: charts, table, totals and CSV that are equal to the sums of the records."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.api import Record, StoreUnavailable
from tests.admin.browsing import Answer, Browser, browsing
from tests.admin.calling import administered
from tests.admin.test_usage import MIDNIGHT, record
from tests.daemon.running import running

CLIENTS = ("one", "two", "=cmd|' /C calc'!A0", "<b>four</b>", "five", "six", "seven")
RECORDS = [
    record(number, client=CLIENTS[number % 7], model=f"m{number % 2}", cost_nano_usd=number**5 + 1)
    for number in range(1, 40)
]
TIME = "start=2025-11-20T00:00&end=2025-11-20T01:00"


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    memory = {"type": "memory"}
    kept = {"requests": "3650d", "rollups": "3650d"}
    storage = {"config": memory, "runtime": memory, "retention": kept}
    async with running(administered(storage=storage), tmp_path) as gateway, browsing(gateway) as browser:
        await gateway.live.store.append(RECORDS)
        await browser.log_in()
        yield browser


def cost(records: list[Record]) -> int:
    return sum(one.cost_nano_usd or 0 for one in records)


def dollars(nano: int) -> str:
    return f"${Decimal(nano).scaleb(-9):,.9f}".rstrip("0")


def charted(page: Answer, chart: str) -> list[list[int]]:
    """The numbers of a chart: of each step one for each of its series."""
    figure = page.text.partition(f'id="{chart}"')[2].partition("</figure>")[0]
    rows = re.findall(r"<tr><td data-value.*?</tr>", figure, re.S)
    return [[int(value) for value in re.findall(r'data-value="(\d+)"', row)[1:]] for row in rows]


async def rows_of(browser: Browser, query: str) -> list[dict[str, str]]:
    answer = await browser.get(f"/ui/usage.csv?{query}")
    assert answer.status == 200 and answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.parametrize("groups", ["by=client", "by=provider&then=model", "by=key&then=client", "by=model"])
async def test_charts_table_totals_and_csv_agree_to_the_last_digit(browser: Browser, groups: str) -> None:
    page = await browser.get(f"/ui/usage?{TIME}&{groups}")
    assert page.status == 200
    assert f"exactly {dollars(cost(RECORDS))}" in page.words
    assert sum(map(sum, charted(page, "chart-spend"))) == cost(RECORDS)
    assert sum(map(sum, charted(page, "chart-requests"))) == len(RECORDS)
    rows = await rows_of(browser, f"{TIME}&{groups}")
    assert sum(Decimal(row["cost_usd"]) for row in rows) * 10**9 == cost(RECORDS)
    assert sum(int(row["requests"]) for row in rows) == len(RECORDS)


async def test_each_leading_group_is_a_series_and_the_others_are_one(browser: Browser) -> None:
    page = await browser.get(f"/ui/usage?{TIME}&by=client")
    by_client = {name: cost([one for one in RECORDS if one.client == name]) for name in CLIENTS}
    series = [sum(step) for step in zip(*charted(page, "chart-spend"), strict=True)]
    ranked = sorted(by_client.values(), reverse=True)
    assert series == [*ranked[:5], sum(ranked[5:])]
    assert "2 others" in page.words
    for spent in by_client.values():
        assert dollars(spent) in page.words


async def test_rows_are_sorted_as_asked(browser: Browser) -> None:
    for sort, reverse in (("cost", True), ("-cost", False)):
        costs = [Decimal(row["cost_usd"]) for row in await rows_of(browser, f"{TIME}&sort={sort}")]
        assert costs == sorted(costs, reverse=reverse)
        page = await browser.get(f"/ui/usage?{TIME}&sort={sort}")
        assert f'aria-sort="{"descending" if reverse else "ascending"}"' in page.text
    names = [row["client"] for row in await rows_of(browser, f"{TIME}&sort=-name")]
    assert names[0] == "two"


async def test_filters_narrow_it_and_groups_lead_into_them(browser: Browser) -> None:
    page = await browser.get(f"/ui/usage?{TIME}&client=one&by=model")
    mine = [one for one in RECORDS if one.client == "one"]
    assert f"exactly {dollars(cost(mine))}" in page.words
    page = await browser.get(f"/ui/usage?{TIME}&by=client")
    link = re.search(r'href="([^"]*client=one[^"]*)"', page.text)
    assert link is not None
    closer = await browser.get(link[1].replace("&amp;", "&"))
    assert f"exactly {dollars(cost(mine))}" in closer.words and "2 models" in closer.words


async def test_no_name_is_a_formula_or_markup(browser: Browser) -> None:
    names = {row["client"] for row in await rows_of(browser, TIME)}
    assert "'=cmd|' /C calc'!A0" in names
    assert "<b>four" not in (await browser.get(f"/ui/usage?{TIME}")).text


async def test_unpriced_requests_are_said(browser: Browser) -> None:
    await browser.gateway.live.store.append([record(50, cost_nano_usd=None, provider="lab", model="trial")])
    page = await browser.get(f"/ui/usage?{TIME}")
    assert "1 request of an unknown price" in page.words
    assert "lab:trial" in page.words
    assert sum(int(row["unpriced_requests"]) for row in await rows_of(browser, TIME)) == 1


@pytest.mark.parametrize("range_", ["15m", "24h", "30d", "month", "last-month", "year"])
async def test_where_nothing_was_used_it_says_what_to_do(browser: Browser, range_: str) -> None:
    page = await browser.get(f"/ui/usage?range={range_}&client=nobody")
    assert page.status == 200
    assert "There was no request in this time." in page.words and "Take a filter away" in page.words


@pytest.mark.parametrize("bound", ["start", "end"])
async def test_a_range_may_be_open(browser: Browser, bound: str) -> None:
    page = await browser.get(f"/ui/usage?{bound}={MIDNIGHT + 7200 if bound == 'end' else MIDNIGHT}")
    assert f"exactly {dollars(cost(RECORDS))}" in page.words


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("start=yesterday", "must be a time such as"),
        ("start=2025-11-20T01:00&end=2025-11-20T00:00", "is before start."),
    ],
)
async def test_a_time_that_cannot_be_meant_is_said_beside_its_field(
    browser: Browser, query: str, words: str
) -> None:
    page = await browser.get(f"/ui/usage?{query}&client=one")
    assert page.status == 400
    assert words in page.words and 'aria-invalid="true"' in page.text and 'value="one"' in page.text
    assert (await browser.get(f"/ui/usage.csv?{query}")).status == 400


@pytest.mark.parametrize("query", ["by=colour", "then=colour", "sort=colour", "colour=red", "range=1y"])
async def test_what_cannot_be_asked_is_400(browser: Browser, query: str) -> None:
    assert (await browser.get(f"/ui/usage?{query}")).status == 400


async def test_a_store_that_is_lost_is_said(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: object) -> None:
        raise StoreUnavailable("it is away")

    monkeypatch.setattr(type(browser.gateway.live.store), "series", lost)
    page = await browser.get("/ui/usage")
    assert page.status == 200
    assert "The store does not answer." in page.words
