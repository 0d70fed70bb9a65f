"""The audit page in the browser."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser.axe import accessible
from tests.browser.busy import Busy
from tests.browser.chromium import View


@pytest.mark.parametrize("view", [View("light", 360), View("dark")], ids=str)
async def test_what_was_done_is_there_and_the_chain_holds(page: Page, busy: Busy, view: View) -> None:
    await busy.admin("GET", "clients/partner")
    await page.goto("/ui/audit")
    await expect(page.get_by_text("POST /admin/v1/clients/partner/rotate")).to_be_visible()
    await expect(page.get_by_text("GET /admin/v1/clients/partner")).to_have_count(0)
    await page.get_by_role("link", name="Reads, too").click()
    await expect(page.get_by_text("GET /admin/v1/clients/partner").first).to_be_visible()
    await page.get_by_role("button", name="Check the chain").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("The chain holds")).to_be_visible()
    await accessible(page)
