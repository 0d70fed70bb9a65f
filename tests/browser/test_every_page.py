"""Every page there is, in every theme and width: for all to use, within its width, and pictured."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.browser.axe import accessible
from tests.browser.busy import Busy
from tests.browser.chromium import VIEWS, View
from tests.browser.sitemap import name_of, sitemap
from tests.browser.visits import Visits

pytestmark = pytest.mark.timeout(600)  # each test is dozens of pages
PICTURES = Path(__file__).parents[2] / "build" / "screenshots"


@pytest.mark.parametrize("view", VIEWS, ids=str)
async def test_every_page_is_accessible_and_fits(page: Page, view: View) -> None:
    for path in await sitemap(page):
        await page.goto(path)
        await page.screenshot(path=PICTURES / str(view) / f"{name_of(path)}.png", full_page=True)
        await accessible(page)
        assert await _overhang(page) == 0, f"{path} is wider than the window"


@pytest.mark.parametrize("view", [View("light", 360), View("dark", 1280)], ids=str)
async def test_hostile_names_do_nothing(visit: Visits, hostile: Busy, view: View) -> None:
    page = await visit(hostile, view)
    for path in await sitemap(page):
        await page.goto(path)
        await page.screenshot(path=PICTURES / f"hostile-{view}" / f"{name_of(path)}.png", full_page=True)
        assert await page.locator("img[src=x]").count() == 0
        assert await page.locator("[href^='javascript:']").count() == 0
        assert await _overhang(page) == 0, f"{path} is wider than the window"


async def _overhang(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    size: Iterable[int] = await page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
    width, window = size
    return max(width - window, 0)
