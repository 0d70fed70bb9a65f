"""The way in, and out again."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser.axe import accessible
from tests.browser.busy import PASSWORD, Busy
from tests.browser.chromium import VIEWS, View
from tests.browser.visits import Visits, log_in
from tests.browser.watch import Watch


@pytest.mark.parametrize("view", VIEWS, ids=str)
async def test_the_form_is_for_everybody(visit: Visits, busy: Busy, view: View) -> None:
    page = await visit(busy, view, inside=False)
    await page.goto("/ui/login")
    await accessible(page)


async def test_who_wanted_a_page_gets_it_after_the_login_by_keyboard_alone(
    visit: Visits, busy: Busy, watch: Watch
) -> None:
    watch.expect("401")
    page = await visit(busy, inside=False)
    await page.goto("/ui/?range=1h")
    await page.get_by_label("Name").fill("admin")
    await page.keyboard.press("Tab")
    await page.keyboard.type("not the password")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("wrong")
    await accessible(page)
    await page.get_by_label("Name").fill("admin")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(r"/ui/\?range=1h$"))


async def test_who_has_left_is_outside(visit: Visits, busy: Busy) -> None:
    page = await visit(busy, inside=False)
    await log_in(page)
    await page.get_by_role("button", name="Log out").and_(page.locator(":visible")).click()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await page.goto("/ui/")
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()


async def test_it_works_without_scripts(visit: Visits, busy: Busy) -> None:
    page = await visit(busy, inside=False, scripts=False)
    await page.goto("/ui/?range=7d")
    await page.get_by_label("Name").fill("admin")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page).to_have_url(re.compile(r"/ui/\?range=7d$"))
    await expect(page.locator("#tiles")).to_be_visible()
    await expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    await page.get_by_role("button", name="Log out").and_(page.locator(":visible")).click()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
