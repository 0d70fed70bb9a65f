"""The first page as it lives: it follows the gateway, lets go, and leaves the visitor's place alone."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser.axe import accessible
from tests.browser.busy import Busy
from tests.browser.chromium import View
from tests.browser.visits import Visits, log_in
from tests.browser.watch import Watch

SOON = 15_000
"""Milliseconds in which a live page must have followed: it looks every five seconds, on a busy machine."""


async def counted(page: Page) -> str:
    """The requests that the first tile shows."""
    return await page.locator("#tiles .value").first.inner_text()


async def live(page: Page) -> None:
    """Wait until the page lives."""
    await expect(page.get_by_role("status").and_(page.get_by_text("Live"))).to_be_visible(timeout=SOON)


async def another_request(busy: Busy) -> None:
    """Let the figures change."""
    await busy.recorded(await busy.chat("chatbot", "lab:experiment"))


async def test_the_figures_follow_the_gateway(page: Page, busy: Busy) -> None:
    await page.goto("/ui/?range=24h")
    await live(page)
    before = await counted(page)
    await another_request(busy)
    await expect(page.locator("#tiles .value").first).not_to_have_text(before, timeout=SOON)
    await accessible(page)


async def test_focus_unfolded_details_and_selection_stay(page: Page, busy: Busy) -> None:
    await page.goto("/ui/?range=24h")
    await live(page)
    await page.locator("#chart-requests summary").click()
    await page.get_by_role("link", name="7d").focus()
    await page.evaluate("getSelection().selectAllChildren(document.querySelector('#now-note'))")
    before = await counted(page)
    await another_request(busy)
    await expect(page.locator("#tiles .value").first).not_to_have_text(before, timeout=SOON)
    await expect(page.get_by_role("table", name="Requests over time")).to_be_visible()
    await expect(page.get_by_role("link", name="7d")).to_be_focused()
    assert "is the last 5 minutes" in await page.evaluate("getSelection().toString()")


async def test_a_pause_holds_the_page_until_it_goes_on(page: Page, busy: Busy) -> None:
    await page.goto("/ui/?range=24h")
    await live(page)
    await page.get_by_role("button", name="Pause").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Paused")).to_be_visible()
    before = await counted(page)
    await another_request(busy)
    assert await counted(page) == before
    await page.keyboard.press("Enter")
    await expect(page.locator("#tiles .value").first).not_to_have_text(before, timeout=SOON)
    await live(page)


async def test_who_is_logged_out_elsewhere_is_led_to_the_login(
    visit: Visits, busy: Busy, watch: Watch
) -> None:
    watch.expect("401")
    page = await visit(busy, inside=False)
    await log_in(page)
    await live(page)
    elsewhere = await page.context.new_page()
    await elsewhere.goto("/ui/")
    await elsewhere.get_by_role("button", name="Log out").and_(elsewhere.locator(":visible")).click()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible(timeout=SOON)


@pytest.mark.parametrize("range", ["15m", "1h", "6h", "24h", "7d", "30d"])
async def test_every_range_is_a_link_away(page: Page, range: str) -> None:
    await page.goto("/ui/")
    await page.get_by_role("link", name=range, exact=True).click()
    await expect(page.get_by_role("link", name=range, exact=True)).to_have_attribute("aria-current", "true")
    await expect(page.locator("#chart-requests canvas")).to_be_visible()


@pytest.mark.parametrize("view", [View("light"), View("dark")], ids=str)
async def test_charts_are_drawn_and_what_needs_attention_leads_on(page: Page, view: View) -> None:
    await page.goto("/ui/?range=7d")
    for chart in ("requests", "latency", "spend", "tokens"):
        await expect(page.locator(f"#chart-{chart} canvas")).to_be_visible()
        await page.locator(f"#chart-{chart} summary").click()
    await accessible(page)
    await page.locator("#attention a").first.click()
    await expect(page.get_by_role("heading", level=1)).not_to_have_text("Overview")
