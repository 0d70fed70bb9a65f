"""The configuration's page in the browser: looked at as it is typed, applied, taken back, all by keyboard."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.axe import accessible
from tests.browser.busy import SERVER, Busy, serving
from tests.browser.chromium import VIEWS, View
from tests.browser.visits import Visits
from tests.browser.watch import Watch

CONFIG = {
    "server": SERVER,
    "storage": {"master_key": "a master key for the browser"},
    "llm_providers": [{"id": "up", "type": "echo", "model": "m", "api_keys": ["sk-only-for-echo-0123"]}],
    "api_keys": [{"id": "one", "key": "sk-one"}],
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Busy]:
    """A gateway that may be changed."""
    async with serving(CONFIG, tmp_path_factory.mktemp("config")) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="session")
async def page(visit: Visits, gateway: Busy) -> Page:
    await gateway.admin("DELETE", "config/overlay")
    page = await visit(gateway)
    await page.goto("/ui/config")
    return page


async def test_what_is_typed_is_looked_at_and_applied_by_keyboard_alone(page: Page) -> None:
    text, review = page.get_by_label("Settings", exact=True), page.locator("#review")
    await text.focus()
    await page.keyboard.type("policy: {retry: {max_attempts: many}}")
    await expect(review).to_contain_text("policy.retry.max_attempts")
    await expect(review).to_contain_text("(line 1 of the text)")
    await accessible(page)
    await text.fill("policy: {retry: {max_attempts: 6}}")
    await expect(review.get_by_role("row").nth(1)).to_contain_text("6")
    await accessible(page)
    await page.get_by_role("button", name="Apply 1 change").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status").first).to_contain_text("Applied.")
    await expect(page.locator("#set")).to_contain_text("policy.retry.max_attempts")
    await accessible(page)


async def test_what_was_shown_of_an_older_text_cannot_be_applied(page: Page, watch: Watch) -> None:
    watch.expect("ERR_FAILED")
    text = page.get_by_label("Settings", exact=True)
    await text.fill("policy: {priority: cost}")
    apply = page.get_by_role("button", name="Apply 1 change")
    await expect(apply).to_be_enabled()
    await page.route("**/ui/config/review", lambda route: route.abort())
    await text.fill("policy: {priority: latency}")
    await expect(apply).to_have_count(0)
    await expect(page.locator("#review")).to_contain_text("could not be checked")


async def test_the_form_of_the_policy_and_taking_it_back(page: Page) -> None:
    await page.get_by_label("Algorithm", exact=True).select_option("round_robin")
    await page.locator("#policy").get_by_role("button").click()
    await expect(page.get_by_label("Settings", exact=True)).to_have_value(
        "policy:\n  algorithm: round_robin\n"
    )
    await page.get_by_role("button", name="Apply 1 change").click()
    await page.locator("#set").get_by_role("button", name="Take back", exact=True).click()
    await expect(page.locator("#set")).to_contain_text("Nothing is set here.")


async def test_a_setting_is_found_and_changed(page: Page) -> None:
    await page.get_by_role("searchbox", name="Search").fill("ttl_seconds")
    await page.get_by_role("searchbox", name="Search").press("Enter")
    await page.get_by_role("link", name="Change policy.cache.ttl_seconds").click()
    await expect(page.get_by_label("Settings", exact=True)).to_have_value(
        "policy:\n  cache:\n    ttl_seconds: 10.0\n"
    )
    await expect(page.locator("#review")).to_contain_text("nothing would change")


async def test_all_is_taken_back_once_that_is_confirmed(page: Page, gateway: Busy) -> None:
    await gateway.admin("POST", "config", {"policy": {"priority": "cost"}})
    await expect(page.locator("#set")).to_contain_text("policy.priority")  # the page lives
    await page.get_by_text("Take all back …").click()
    await accessible(page)
    await page.get_by_role("button", name="Take all back").click()
    await expect(page.locator("#set")).to_contain_text("Nothing is set here.")


async def test_what_somebody_else_did_meanwhile_is_shown_first(
    page: Page, gateway: Busy, watch: Watch
) -> None:
    watch.expect("412")
    await page.get_by_label("Settings", exact=True).fill("policy: {priority: cost}")
    apply = page.get_by_role("button", name="Apply 1 change")
    await expect(apply).to_be_visible()
    await gateway.admin("POST", "config", {"policy": {"priority": "latency"}})
    await apply.click()
    await expect(page.locator("#review")).to_contain_text("Somebody else has changed")
    await expect(page.locator("#review del")).to_have_text("latency")
    await accessible(page)
    await page.get_by_role("button", name="Apply 1 change").click()
    await expect(page.get_by_role("status").first).to_contain_text("Applied.")


async def test_a_file_that_cannot_be_used(page: Page, gateway: Busy) -> None:
    gateway.daemon.write({**CONFIG, "policy": {"priority": "speed"}})
    await page.get_by_role("button", name="Read the file again").click()
    await expect(page.get_by_role("alert")).to_contain_text("cannot be used")
    standing = page.locator("#standing")
    await expect(standing).to_contain_text("policy.priority")
    await expect(standing).to_contain_text("[line ")
    await accessible(page)
    gateway.daemon.write(CONFIG)
    await page.get_by_role("button", name="Read the file again").click()
    await expect(standing).to_contain_text("In effect")


@pytest.mark.parametrize("view", VIEWS, ids=str)
async def test_a_review_is_accessible_in_every_view(visit: Visits, gateway: Busy, view: View) -> None:
    page = await visit(gateway, view)
    await page.goto("/ui/config")
    text = 'server: {listen: "127.0.0.1:1"}\npolicy: {on_exhausted: queue}'
    await page.get_by_label("Settings", exact=True).fill(text)
    await expect(page.locator("#review")).to_contain_text("after a restart")
    await accessible(page)
