"""Models and the routing dry run in the browser."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser.axe import accessible
from tests.browser.busy import Busy
from tests.browser.chromium import VIEWS, View
from tests.browser.hostile import MARKUP
from tests.browser.visits import Visits
from tests.browser.watch import Watch


async def test_a_search_narrows_the_models(page: Page) -> None:
    await page.goto("/ui/models")
    await expect(page.get_by_text("2 models have no price")).to_be_visible()
    await page.get_by_label("Search").fill("gemini")
    await page.keyboard.press("Enter")
    await expect(page.locator("#models tbody tr")).to_have_count(1)
    await expect(page.locator("#aliases tbody tr")).to_have_count(1)


@pytest.mark.parametrize("view", VIEWS, ids=str)
async def test_a_dry_run_from_a_name_to_its_candidates(page: Page, view: View) -> None:
    await page.goto("/ui/models")
    await page.locator("#aliases").get_by_role("link", name="smart").click()
    await expect(page.locator("#chosen h2")).to_contain_text("would be asked")
    await page.get_by_label("Client").fill("nightly-batch")
    await page.get_by_label("Tokens in").fill("2000")
    await page.get_by_label("At most out").fill("100")
    await page.get_by_label("Stream").select_option("yes")
    await page.get_by_role("button", name="Try it").press("Enter")
    await expect(page.locator("#chosen h2")).to_contain_text("The client would get")
    await expect(page.get_by_text("the client may not use this provider").first).to_be_visible()
    await accessible(page)


async def test_what_is_wrong_is_said_beside_its_field(page: Page, watch: Watch) -> None:
    watch.expect("400")
    await page.goto("/ui/models/route?model=smart&client=nobody")
    await expect(page.get_by_label("Client")).to_have_attribute("aria-invalid", "true")
    await accessible(page)


async def test_hostile_names_do_nothing_in_a_dry_run(visit: Visits, hostile: Busy) -> None:
    page = await visit(hostile)
    await page.goto("/ui/models/route")
    await page.get_by_label("Model").fill(MARKUP)
    await page.keyboard.press("Enter")
    await expect(page.locator("#candidates tbody tr").first).to_be_visible()
    assert await page.locator("img[src=x]").count() == 0
