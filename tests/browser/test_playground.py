"""The playground in the browser: answers as they stream, several turns, a stop, errors, and programs."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser.axe import accessible
from tests.browser.busy import Busy
from tests.browser.chromium import VIEWS, View
from tests.browser.visits import Visits
from tests.browser.watch import Watch


async def ask(page: Page, text: str, client: str = "nightly-batch", model: str = "house:small") -> None:
    await page.get_by_label("Client").fill(client)
    await page.get_by_label("Model").fill(model)
    await page.get_by_label("Message").fill(text)
    await page.get_by_role("button", name="Send").click()


@pytest.mark.parametrize("view", VIEWS, ids=str)
async def test_a_conversation(visit: Visits, busy: Busy, view: View) -> None:
    page = await visit(busy, view)
    await page.goto("/ui/playground")
    await ask(page, "Say it <b>again</b>", model="lab:experiment")
    answer = page.locator("#turns .turn").nth(1)
    await expect(answer.locator(".said")).to_have_text("Say it <b>again</b>")
    for words in ("Tokens in", "First token", "Total", "Cost"):
        await expect(answer).to_contain_text(words)
    await answer.get_by_text("Response headers").click()
    await expect(answer).to_contain_text("x-coo-provider")
    await accessible(page)
    await ask(page, "And once more", model="lab:experiment")
    await expect(page.locator("#turns .turn")).to_have_count(4)
    await expect(page.locator("#turns .turn").nth(3)).to_contain_text("Total")
    await expect(page.locator("[data-body=python]")).to_contain_text("And once more")
    await page.get_by_role("button", name="New conversation").click()
    await expect(page.locator("#turns .turn")).to_have_count(0)
    await expect(page.locator("[data-body=python]")).not_to_contain_text("And once more")


async def test_by_keyboard_alone_and_stopped(page: Page, busy: Busy) -> None:
    await page.goto("/ui/playground?client=chatbot&model=house:small")
    await page.get_by_label("Message").fill("word " * 3000)
    await page.keyboard.press("Control+Enter")
    answer = page.locator("#turns .turn").nth(1)
    await expect(answer.locator(".said")).to_contain_text("word")
    await page.get_by_role("button", name="Stop").focus()
    await page.keyboard.press("Enter")
    await expect(answer).to_contain_text("Stopped.")
    await expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    await accessible(page)


@pytest.mark.parametrize(
    ("client", "model", "status", "words"),
    [
        ("research", "no-such-model", "404", "404 model_not_found:"),
        ("trainee", "small", "409", "409: The client 'trainee' has expired."),
        ("nobody", "small", "404", "404: There is no client 'nobody'."),
    ],
)
async def test_an_error_is_said_where_the_answer_would_be(
    page: Page, watch: Watch, client: str, model: str, status: str, words: str
) -> None:
    watch.expect(status)
    await page.goto("/ui/playground")
    await ask(page, "Hello", client, model)
    await expect(page.get_by_role("alert")).to_contain_text(words)
    await expect(page.get_by_label("Message")).to_have_value("Hello")
    await accessible(page)


async def test_a_program_follows_what_is_typed(page: Page) -> None:
    await page.goto("/ui/playground")
    await page.get_by_label("Message").fill('It\'s "me"')
    await page.get_by_label("Temperature").fill("0.5")
    curl = page.locator("[data-body=curl]")
    await expect(curl).to_contain_text(r"""It'\''s \"me\"""")
    await expect(curl).to_contain_text('"temperature": 0.5')
    await expect(page.get_by_role("button", name="Copy").first).to_be_visible()
