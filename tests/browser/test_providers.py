"""Providers and keys in the browser: every action, by mouse and by keyboard alone, while the page lives."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.axe import accessible
from tests.browser.busy import SERVER, Busy, serving
from tests.browser.chromium import View
from tests.browser.visits import Visits
from tests.browser.watch import Watch

BOTH = pytest.mark.parametrize("view", [View("light", 1280), View("dark", 360)], ids=str)
CONFIG = {
    "server": SERVER,
    "storage": {"master_key": "a master key for the browser"},
    "llm_providers": [
        {"id": "up", "name": "Upstairs", "type": "echo", "model": "m", "limits": {"req_per_min": 50}}
        | {"api_keys": [{"id": "first", "key": "sk-first"}, {"id": "second", "key": "sk-second"}]}
    ],
    "api_keys": [{"id": "one", "key": "sk-one"}],
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Busy]:
    """A gateway whose keys may be tampered with."""
    async with serving(CONFIG, tmp_path_factory.mktemp("small")) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="session")
async def up(visit: Visits, small: Busy, view: View) -> Page:
    """The page of the provider ``up``."""
    page = await visit(small, view)
    await page.goto("/ui/providers/up")
    return page


@BOTH
async def test_a_key_is_disabled_and_enabled_where_it_stands(visit: Visits, small: Busy, view: View) -> None:
    page = await visit(small, view)
    await page.goto("/ui/providers")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="first"))
    await row.get_by_role("button", name="Disable").click()
    await expect(page.get_by_role("status").filter(has_text="is used no longer")).to_be_visible()
    await expect(row.get_by_text("switched off")).to_be_visible()
    await accessible(page)
    await page.get_by_role("link", name="In trouble 1").click()
    await row.get_by_role("button", name="Enable").click()
    await expect(row.get_by_text("active")).to_be_visible()


@BOTH
async def test_what_others_do_is_seen_at_once(up: Page, small: Busy) -> None:
    second = up.locator("#key-second")
    await expect(up.get_by_text("Live", exact=True)).to_be_visible()
    await small.admin("POST", "providers/up/keys/second/disable")
    await expect(second.get_by_text("switched off")).to_be_visible()
    await small.admin("POST", "providers/up/keys/second/enable")
    await expect(second.get_by_text("active")).to_be_visible()
    assert (await small.chat("one", "up:m")).status == 200
    await expect(up.get_by_text("of 50 requests/min").first).to_be_visible()


@BOTH
async def test_keys_are_tested_where_they_stand(up: Page) -> None:
    await up.get_by_role("button", name="Test every key").click()
    results = up.get_by_role("region", name="Results")
    await expect(results.get_by_text("works")).to_have_count(2)
    await expect(up.get_by_text("Live", exact=True)).to_be_visible()
    await accessible(up)
    await up.locator("#key-second").get_by_role("button", name="Test", exact=True).click()
    await expect(results.get_by_role("rowheader", name="second")).to_be_visible()
    await expect(results.get_by_role("row")).to_have_count(2)


@BOTH
async def test_a_key_is_added_and_removed_by_keyboard_alone(up: Page, watch: Watch) -> None:
    watch.expect("409")
    for taken in (True, False):
        await up.get_by_label("Key", exact=True).focus()
        await up.keyboard.type("sk-added")
        await up.keyboard.press("Tab")
        await up.keyboard.type("first" if taken else "third")
        await up.keyboard.press("Enter")
        if taken:
            await expect(up.get_by_role("alert")).to_contain_text("already")
            await accessible(up)
            await up.get_by_label("Id").clear()
    await expect(up.get_by_text("up has the key third now.")).to_be_visible()
    await expect(up.locator("#key-third").get_by_text("added here", exact=True)).to_be_visible()
    await accessible(up)
    remove = up.locator("#key-third summary", has_text="Remove")
    await remove.focus()
    await up.keyboard.press("Enter")
    await expect(up.get_by_text("removed, it is lost")).to_be_visible()
    await accessible(up)
    await up.keyboard.press("Tab")
    await up.keyboard.press("Enter")
    await expect(up.get_by_text("is removed.")).to_be_visible()
    await expect(up.locator("#key-third")).to_have_count(0)


async def test_a_key_in_trouble_is_found_from_the_overview_and_reset(visit: Visits, busy: Busy) -> None:
    page = await visit(busy)
    await page.goto("/ui/")
    await page.locator("#attention").get_by_role("link", name="Providers").first.click()
    await expect(page.get_by_role("button", name="Reset").first).to_be_visible()
