"""What becomes of a page when its session ends: what was filled in stays, and can be sent after a login."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.axe import accessible
from tests.browser.busy import PASSWORD, SERVER, Busy, serving
from tests.browser.visits import Visits, log_in
from tests.browser.watch import Watch

CONFIG = {
    "server": SERVER,
    "llm_providers": [{"id": "up", "type": "echo", "model": "m"}],
    "api_keys": [{"id": "one", "key": "sk-one"}],
}
ENDED = "The session has ended."


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Busy]:
    """A gateway that may be changed."""
    async with serving(CONFIG, tmp_path_factory.mktemp("session")) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="session")
async def page(visit: Visits, gateway: Busy) -> Page:
    """A page in a session of its own."""
    page = await visit(gateway, inside=False)
    await log_in(page)
    return page


async def end_elsewhere(page: Page) -> Page:
    """Log out in another tab: that tab."""
    elsewhere = await page.context.new_page()
    await elsewhere.goto("/ui/models")
    await elsewhere.get_by_role("button", name="Log out").and_(elsewhere.locator(":visible")).click()
    await expect(elsewhere.get_by_role("heading", name="Log in")).to_be_visible()
    return elsewhere


async def come_back(page: Page, elsewhere: Page) -> None:
    """Log in in the other tab, and return to the page."""
    await log_in(elsewhere)
    await expect(elsewhere.get_by_role("heading", name="Overview")).to_be_visible()
    await elsewhere.close()
    await page.evaluate("dispatchEvent(new Event('focus'))")  # every tab of a headless browser has it always
    await expect(page.get_by_text(ENDED)).to_be_hidden()


async def test_what_is_being_typed_on_a_live_page_stays(page: Page, watch: Watch) -> None:
    watch.expect("401")
    await page.goto("/ui/config")
    await expect(page.locator(".said")).to_have_text("Live")
    text = page.get_by_label("Settings", exact=True)
    await text.fill("policy: {priority: cost}")
    elsewhere = await end_elsewhere(page)
    await expect(page.get_by_text(ENDED)).to_be_visible()
    await accessible(page)
    await come_back(page, elsewhere)
    await expect(page.locator(".said")).to_have_text("Live")
    await expect(text).to_have_value("policy: {priority: cost}")
    await text.fill("policy: {priority: latency}")
    await page.get_by_role("button", name="Apply 1 change").click()
    await expect(page.get_by_role("status").first).to_contain_text("Applied.")


async def test_a_form_is_not_sent_to_a_session_that_has_ended(page: Page) -> None:
    await page.goto("/ui/clients/+new")
    await page.get_by_label("Id", exact=True).fill("kept")
    elsewhere = await end_elsewhere(page)
    make = page.get_by_role("button", name="Make the client")
    await make.click()
    await expect(page.get_by_text(ENDED)).to_be_visible()
    await expect(page.get_by_label("Id", exact=True)).to_have_value("kept")
    await come_back(page, elsewhere)
    await make.dblclick()
    await expect(page.get_by_label("The key", exact=True)).to_be_visible()


async def test_a_key_that_is_shown_once_stays(page: Page, watch: Watch) -> None:
    watch.expect("401")
    await page.goto("/ui/clients/one")
    await page.get_by_role("button", name="Rotate").click()
    await expect(page.get_by_label("The key", exact=True)).to_be_visible()
    await expect(page.locator(".said")).to_have_text("Live")
    await end_elsewhere(page)
    await expect(page.get_by_text(ENDED)).to_be_visible()
    await expect(page.get_by_label("The key", exact=True)).to_be_visible()


async def test_a_conversation_goes_on_after_the_login(page: Page) -> None:
    await page.goto("/ui/playground")
    await page.get_by_label("Message").fill("Hello?")
    elsewhere = await end_elsewhere(page)
    await page.get_by_label("Message").press("Control+Enter")
    await expect(page.get_by_text(ENDED, exact=False).first).to_be_visible()
    await come_back(page, elsewhere)
    await page.get_by_label("Message").press("Control+Enter")
    await expect(page.get_by_text("The answer is complete.")).to_be_visible()


async def test_without_scripts_the_login_leads_back_to_the_form(visit: Visits, gateway: Busy) -> None:
    page = await visit(gateway, inside=False, scripts=False)
    await log_in(page)
    await page.goto("/ui/config")
    await page.context.clear_cookies()
    await page.get_by_role("button", name="Read the file again").click()
    await expect(page.get_by_text("nothing was done")).to_be_visible()
    await page.get_by_label("Name").fill("admin")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", name="Configuration")).to_be_visible()
