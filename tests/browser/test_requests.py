"""Requests as they come, narrowed down, page by page, and one of them."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.axe import accessible
from tests.browser.busy import Busy
from tests.browser.chromium import View
from tests.browser.test_overview import SOON, live
from tests.browser.visits import Visits
from tests.browser.watch import Watch

ROWS = "#requests tbody tr"


async def test_new_ones_come_in_above_and_nothing_else_moves(page: Page, busy: Busy) -> None:
    await page.goto("/ui/requests")
    await live(page)
    fifth = page.locator(ROWS).nth(4)
    id = await fifth.get_attribute("id")
    await page.locator(f"#{id} a").focus()
    last = await page.locator(ROWS).last.get_attribute("id")
    await page.locator(ROWS).nth(25).scroll_into_view_if_needed()
    place = await page.locator(f"#{id}").bounding_box()
    answer = await busy.chat("chatbot", "lab:experiment")
    await expect(page.locator(f"#{last}")).to_have_count(0, timeout=SOON)
    assert await page.locator(ROWS).count() == 50
    await expect(page.locator(f"#{id} a")).to_be_focused()
    now = await page.locator(f"#{id}").bounding_box()
    assert place is not None and now is not None
    assert abs(now["y"] - place["y"]) < 2
    await page.locator(ROWS).first.get_by_role("link").click()
    await expect(page.get_by_text(answer.headers["x-request-id"])).to_be_visible()


async def test_the_row_that_has_the_focus_is_not_pushed_off(page: Page, busy: Busy) -> None:
    await page.goto("/ui/requests")
    await live(page)
    last = await page.locator(ROWS).last.get_attribute("id")
    await page.locator(f"#{last} a").focus()
    first = await page.locator(ROWS).first.get_attribute("id")
    await busy.chat("chatbot", "lab:experiment")
    await expect(page.locator(ROWS).first).not_to_have_attribute("id", first or "", timeout=SOON)
    await expect(page.locator(f"#{last} a")).to_be_focused()


async def test_paused_it_stands_still(page: Page, busy: Busy) -> None:
    await page.goto("/ui/requests")
    await live(page)
    await page.get_by_role("button", name="Pause").click()
    first = await page.locator(ROWS).first.get_attribute("id")
    await busy.recorded(await busy.chat("chatbot", "lab:experiment"))
    await expect(page.locator(ROWS).first).to_have_attribute("id", first or "")
    await page.get_by_role("button", name="Go on").click()
    await expect(page.locator(ROWS).first).not_to_have_attribute("id", first or "", timeout=SOON)


@pytest.mark.parametrize("view", [View("light"), View("dark", 360)], ids=str)
async def test_filters_are_set_by_keyboard_and_taken_away(page: Page, view: View) -> None:
    await page.goto("/ui/requests")
    await page.get_by_text("Filters", exact=True).focus()
    await page.keyboard.press("Enter")
    await page.get_by_label("Client").focus()
    await page.keyboard.type("research")
    await page.get_by_label("Status").fill("4xx")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(r"client=research&.*status=4xx"))
    await expect(page.get_by_text("2 set")).to_be_visible()
    clients = await page.locator(f"{ROWS} td:nth-child(3)").all_inner_texts()
    assert set(clients) == {"research"}
    await accessible(page)
    await page.get_by_role("link", name="Failed (5xx)").click()
    await expect(page.get_by_label("Client")).to_have_value("research")
    await page.get_by_role("link", name="Clear").click()
    await expect(page).to_have_url(re.compile("/ui/requests$"))


async def test_a_wrong_filter_is_said_beside_it(page: Page, watch: Watch) -> None:
    watch.expect("400")
    await page.goto("/ui/requests?status=2")
    await page.get_by_label("Status").fill("often")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.get_by_label("Status")).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_text("must be like 404 or 4xx")).to_be_visible()
    await accessible(page)


async def test_page_by_page_and_back(page: Page) -> None:
    await page.goto("/ui/requests")
    newest = await page.locator(ROWS).first.get_attribute("id")
    seen: set[str] = set()
    for _ in range(3):
        ids = await page.eval_on_selector_all(ROWS, "rows => rows.map(row => row.id)")
        assert len(ids) == 50 and not seen & set(ids)
        seen |= set(ids)
        await page.get_by_role("link", name="Older").click()
        await page.wait_for_url(re.compile(f"before={ids[-1].removeprefix('request-')}"))
    await page.get_by_role("link", name="Newest").click()
    await expect(page.locator(f"#{newest}")).to_be_visible()


@pytest.mark.parametrize("view", [View("light", 360), View("dark")], ids=str)
async def test_one_that_was_tried_twice(page: Page, busy: Busy, view: View) -> None:
    await page.goto("/ui/requests?model=gpt-4o&provider=openai-prod&client=chatbot")
    await (
        page.locator(ROWS)
        .filter(has=page.get_by_role("cell", name="2", exact=True))
        .first.get_by_role("link")
        .click()
    )
    await expect(page.locator("#attempts").get_by_text("rate limited")).to_be_visible()
    bars = page.locator("#attempts svg")
    assert await bars.count() >= 3
    await expect(bars.first).to_be_visible()
    await accessible(page)
    await page.get_by_role("link", name="gpt-4o", exact=True).click()
    await expect(page).to_have_url(re.compile(r"/ui/requests\?model=gpt-4o$"))


async def test_without_scripts(visit: Visits, busy: Busy) -> None:
    page = await visit(busy, scripts=False)
    await page.goto("/ui/requests")
    await page.get_by_text("Filters", exact=True).click()
    await page.get_by_label("Provider").fill("closet")
    await page.get_by_role("button", name="Apply").click()
    await page.locator(ROWS).first.get_by_role("link").click()
    await expect(page.get_by_role("heading", name="Attempts")).to_be_visible()
