"""Clients in the browser: made, changed, given another key, shut out; a key is seen once and never again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.axe import accessible
from tests.browser.busy import SERVER, Busy, serving
from tests.browser.chromium import VIEWS, View
from tests.browser.visits import Visits
from tests.browser.watch import Watch

BOTH = pytest.mark.parametrize("view", [View("light", 1280), View("dark", 360)], ids=str)
CONFIG = {
    "server": SERVER,
    "llm_providers": [
        {"id": "up", "type": "echo", "model": "m", "api_keys": [{"id": "k", "key": "sk-up"}]}
        | {"pricing": {"input_token_cost": 0.001, "output_token_cost": 0.002}}
    ],
    "api_keys": [{"id": "filed", "key": "sk-filed", "limits": {"req_per_min": 9}}],
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Busy]:
    """A gateway whose clients may be tampered with."""
    async with serving(CONFIG, tmp_path_factory.mktemp("small")) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="session")
async def list_page(visit: Visits, small: Busy, view: View) -> Page:
    """The page of all clients."""
    page = await visit(small, view)
    await page.goto("/ui/clients")
    return page


async def make(page: Page, id: str) -> str:
    """Make a client by keyboard alone: its key."""
    await page.get_by_role("link", name="New client").focus()
    await page.keyboard.press("Enter")
    await page.get_by_label("Id", exact=True).focus()
    await page.keyboard.type(id)
    await page.keyboard.press("Enter")
    code = page.get_by_label("The key", exact=True)
    await expect(code).to_have_text(re.compile("^sk-coo-"))
    return (await code.text_content()) or ""


async def sure(page: Page, action: str) -> None:
    """Press a button that asks first, and say yes."""
    await page.locator("summary", has_text=action).click()
    await accessible(page)
    await page.get_by_role("button", name=action, exact=True).click()


@BOTH
async def test_a_key_is_seen_once_and_copied(list_page: Page, small: Busy, view: View) -> None:
    page = list_page
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    key = await make(page, f"once-{view}")
    await accessible(page)
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == key
    await page.reload()
    await expect(page.get_by_role("heading", name=f"once-{view}")).to_be_visible()
    assert key not in await page.content()
    await page.goto("/ui/clients")
    await page.go_back()
    await expect(page.get_by_role("heading", name=f"once-{view}")).to_be_visible()
    assert key not in await page.content()


@BOTH
async def test_going_back_shows_no_key(list_page: Page, view: View) -> None:
    key = await make(list_page, f"back-{view}")
    await list_page.get_by_role("link", name="All clients").click()
    await expect(list_page.get_by_role("heading", name="Clients")).to_be_visible()
    await list_page.go_back()
    await expect(list_page.get_by_role("heading", name=f"back-{view}")).to_be_visible()
    assert key not in await list_page.content()


@BOTH
async def test_a_client_is_changed_and_an_error_is_said_in_place(
    list_page: Page, small: Busy, view: View, watch: Watch
) -> None:
    watch.expect("400")
    page = list_page
    await page.get_by_role("link", name="filed").click()
    limit = page.get_by_label("Requests a minute")
    await limit.fill("many")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("must be a whole number")).to_be_visible()
    await accessible(page)
    await limit.fill("3")
    await page.get_by_label("Budget, US dollars").fill("0.5")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved, and in force.")).to_be_visible()
    assert (await small.chat("filed", "m")).status == 200
    await expect(page.get_by_text(re.compile("[12] of 3 requests/min"))).to_be_visible(timeout=20_000)
    await accessible(page)
    await sure(page, "Revert")
    await expect(page.get_by_text("again as the file has it")).to_be_visible()
    await expect(limit).to_have_value("9")


@BOTH
async def test_a_key_is_rotated_and_a_client_revoked_and_deleted(list_page: Page, view: View) -> None:
    page, id = list_page, f"ended-{view}"
    first = await make(page, id)
    await page.get_by_label("The present key stays valid for").fill("7d")
    await page.get_by_role("button", name="Rotate").click()
    code = page.get_by_label("The key", exact=True)
    await expect(code).not_to_have_text(first)
    await expect(code).to_have_text(re.compile("^sk-coo-"))
    await expect(page.get_by_role("region", name="Keys").get_by_role("row")).to_have_count(3)
    await sure(page, "Revoke")
    await expect(page.get_by_text("is shut out.", exact=False).first).to_be_visible()
    await expect(page.get_by_text("expired", exact=True)).to_be_visible()
    await sure(page, "Delete")
    await expect(page.get_by_text(f"{id} is deleted")).to_be_visible()
    await expect(page.get_by_role("link", name=id)).to_have_count(0)


@pytest.mark.parametrize("view", VIEWS, ids=str)
async def test_the_form_of_a_new_client_is_for_everybody(page: Page) -> None:
    await page.goto("/ui/clients/+new")
    await accessible(page)
    assert await page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


async def test_long_ids_fit_a_narrow_page(visit: Visits, tmp_path: Path) -> None:
    id = "a" * 64
    up = {"id": id, "type": "echo", "model": "m", "api_keys": [{"id": id, "key": "sk-up"}]}
    config = {"server": SERVER, "llm_providers": [up], "api_keys": [{"id": id, "key": "sk-one"}]}
    async with serving(config, tmp_path) as gateway:
        page = await visit(gateway, View("light", 360))
        for path in ("clients/+new", f"clients/{id}", f"providers/{id}"):
            await page.goto(f"/ui/{path}")
            assert await page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), path
        await page.close()


async def test_clients_are_searched_sorted_and_taken_along(page: Page, tmp_path: Path) -> None:
    await page.goto("/ui/clients")
    await page.get_by_label("Search").fill("front page")
    await page.get_by_label("Sort by").select_option("Spend")
    await page.get_by_label("Usage of").select_option("the last 7 days")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.get_by_role("link", name="chatbot")).to_be_visible()
    await expect(page.locator("#clients tbody tr")).to_have_count(1)
    await expect(page.get_by_label("Search")).to_have_value("front page")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV").click()
    await (await download.value).save_as(tmp_path / "clients.csv")
    lines = (tmp_path / "clients.csv").read_text().splitlines()
    assert len(lines) == 2 and lines[1].startswith("chatbot,file,")


async def test_without_a_client_it_says_what_to_do(visit: Visits, tmp_path: Path) -> None:
    config = {name: part for name, part in CONFIG.items() if name != "api_keys"}
    async with serving(config, tmp_path) as gateway:
        page = await visit(gateway)
        await page.goto("/ui/clients")
        await expect(page.get_by_text("Programs on this machine are served")).to_be_visible()
        await accessible(page)
        await page.close()
