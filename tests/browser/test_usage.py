"""The usage page in the browser: charts that are drawn, what can be chosen, and the CSV."""

from __future__ import annotations

import csv
import io

import pytest
from playwright.async_api import Page, expect

from tests.browser.axe import accessible
from tests.browser.chromium import VIEWS, View
from tests.browser.watch import Watch

WEEK = "/ui/usage?range=7d"


@pytest.mark.parametrize("view", VIEWS, ids=str)
async def test_every_chart_is_drawn_and_the_page_is_accessible(page: Page, view: View) -> None:
    await page.goto(f"{WEEK}&by=provider&then=model")
    await expect(page.locator("figure.chart canvas")).to_have_count(4)
    await expect(page.locator("#chart-spend .u-legend")).to_contain_text("openai-prod")
    await accessible(page)


@pytest.mark.parametrize("view", [View(width=720), View(width=1040), View(width=360)], ids=str)
async def test_a_small_sum_is_on_one_line(page: Page, view: View) -> None:
    await page.goto("/ui/usage?range=1h&client=nightly-batch&provider=house")
    sum = page.locator(".tile .value").filter(has_text="$0.0000")
    await expect(sum).to_have_count(1)
    assert await sum.evaluate(
        "tile => tile.clientHeight < 1.5 * parseFloat(getComputedStyle(tile).lineHeight)"
    )


@pytest.mark.parametrize("nano", [12, 22_900, 28_358_800, 9_876_543_210_000])
@pytest.mark.parametrize("view", [View("light"), View("light", 360)], ids=str)
async def test_sums_of_any_size_fit_beside_their_chart(page: Page, view: View, nano: int) -> None:
    await page.add_init_script(
        """window.drawn = [];
        const fillText = CanvasRenderingContext2D.prototype.fillText;
        CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
          if (text.startsWith("$")) drawn.push([text, x - this.measureText(text).width]);
          fillText.call(this, text, x, y);
        };"""
    )
    await page.goto(WEEK)
    await expect(page.locator("#chart-spend canvas")).to_be_visible()
    drawn = await page.evaluate(
        """async (nano) => {
          for (const cell of document.querySelectorAll("#chart-spend tbody td")) cell.dataset.value = nano;
          drawn.length = 0;
          document.dispatchEvent(new Event("coo:changed"));
          await new Promise((drawn) => setTimeout(drawn, 200));
          return drawn;
        }""",
        nano,
    )
    assert len(drawn) > 2
    assert [text for text, left in drawn if left < 0 or "e" in text] == []


async def test_groups_filters_and_order_are_chosen_by_keyboard(page: Page) -> None:
    await page.goto(WEEK)
    await page.get_by_label("Group by").select_option("model")
    await page.get_by_text("Narrow down").focus()
    await page.keyboard.press("Enter")
    await page.get_by_label("Provider", exact=True).fill("openai-prod")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="2 models")).to_be_visible()
    rows = page.locator("#groups tbody th")
    await expect(rows).to_have_text(["gpt-4o", "gpt-4o-mini", "All"])
    await page.get_by_role("link", name="Spend").focus()
    await page.keyboard.press("Enter")
    await expect(rows).to_have_text(["gpt-4o-mini", "gpt-4o", "All"])
    await page.get_by_role("link", name="gpt-4o", exact=True).click()
    await expect(page.get_by_label("Model", exact=True)).to_have_value("gpt-4o")
    await expect(page.get_by_label("Group by")).to_have_value("client")


async def test_the_csv_is_what_is_shown(page: Page) -> None:
    await page.goto(f"{WEEK}&by=provider")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV").click()
    answer = await page.request.get((await download.value).url)
    rows = list(csv.DictReader(io.StringIO(await answer.text())))
    shown = await page.locator("#groups tbody th").all_text_contents()
    assert [row["provider"] or "(none)" for row in rows] == shown[:-1]


async def test_a_time_of_ones_own(page: Page) -> None:
    await page.goto(WEEK)
    await page.get_by_label("From, UTC").fill("2020-01-01T00:00")
    await page.get_by_label("Until, UTC").fill("2020-02-01T00:00")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.get_by_text("There was no request in this time.")).to_be_visible()
    await expect(page.get_by_label("From, UTC")).to_have_value("2020-01-01T00:00")


async def test_an_impossible_time_is_said_in_place(page: Page, watch: Watch) -> None:
    watch.expect("400")
    await page.goto("/ui/usage?start=2026-02-01T00:00&end=2026-01-01T00:00")
    await expect(page.get_by_label("Until, UTC")).to_have_attribute("aria-invalid", "true")
    await accessible(page)
