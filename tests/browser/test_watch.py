"""The watch and axe notice what they are there for: pages that do what a page of the dashboard must not."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, Route

from tests.browser.axe import accessible
from tests.browser.visits import Logins
from tests.browser.watch import Watch

BASE = "http://127.0.0.1:9"
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; img-src *; connect-src *"
_FRAME = "<!doctype html><html lang=en><title>t</title><main><h1>h</h1>{}</main></html>"


async def answer(route: Route) -> None:
    """Any path of `BASE` is an empty answer, one that begins with a digit has that status."""
    status = route.request.url.removeprefix(f"{BASE}/")
    await route.fulfill(status=int(status) if status.isdigit() else 204)


async def shown(page: Page, content: str) -> None:
    """Open a page with ``content``, and let it do what it does."""
    html, headers = _FRAME.format(content), {"content-security-policy": _POLICY}

    async def first(route: Route) -> None:
        await route.fulfill(body=html, content_type="text/html", headers=headers)

    await page.context.route("**/*", answer)
    await page.context.route(f"{BASE}/page", first)
    await page.goto(f"{BASE}/page", wait_until="networkidle")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("<p>all is well</p>", None),
        ("<script>console.error('alas')</script>", "console error: alas"),
        ("<script>nothing.there</script>", "script failed"),
        ("<script>alert('hello')</script>", "a dialog opened: hello"),
        ("<img src=data:, onerror=stranger()>", "a stranger's script ran"),
        ("<p style='color: red'>", "content security policy: style-src-attr"),
        ("<script>fetch('http://127.0.0.2:9/')</script>", "foreign address: http://127.0.0.2:9/"),
        ("<script>fetch('/404')</script>", "status 404: /404"),
    ],
)
async def test_what_it_complains_of(logins: Logins, content: str, complaint: str | None) -> None:
    watch = Watch()
    async with await logins.browser.new_context() as context:
        await watch.over(context, BASE)
        await shown(await context.new_page(), content)
    if complaint is None:
        watch.check()
        return
    with pytest.raises(AssertionError, match=complaint):
        watch.check()


async def test_what_is_expected_is_no_complaint(logins: Logins) -> None:
    watch = Watch()
    async with await logins.browser.new_context() as context:
        await watch.over(context, BASE)
        await shown(await context.new_page(), "<script>fetch('/404')</script>")
    watch.expect("404")
    watch.check()


async def test_axe_finds_a_picture_without_words(logins: Logins) -> None:
    async with await logins.browser.new_context() as context:
        page = await context.new_page()
        await shown(page, "<img src=data:,>")
        with pytest.raises(AssertionError, match="image-alt"):
            await accessible(page)
