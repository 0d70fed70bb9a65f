"""Pages of a gateway in the browser: logged in, in one view, watched."""

from __future__ import annotations

from playwright.async_api import Browser, BrowserContext, Page, StorageState

from tests.browser.busy import PASSWORD, Busy
from tests.browser.chromium import HEIGHT, USUAL, View
from tests.browser.watch import Watch


class Logins:
    """One login for each gateway, made by its form and used by all tests."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self._known: dict[str, StorageState] = {}

    async def at(self, gateway: Busy) -> StorageState:
        """The cookies of who is logged in there."""
        if gateway.url not in self._known:
            async with await self.browser.new_context(base_url=gateway.url) as context:
                page = await context.new_page()
                await log_in(page)
                self._known[gateway.url] = await context.storage_state()
        return self._known[gateway.url]


class Visits:
    """Opens pages for one test: ``await visit(gateway)``."""

    def __init__(self, logins: Logins, watch: Watch) -> None:
        self._logins = logins
        self._watch = watch
        self._contexts: list[BrowserContext] = []

    async def __call__(
        self, gateway: Busy, view: View = USUAL, *, inside: bool = True, scripts: bool = True
    ) -> Page:
        """A page of ``gateway``, with nothing in it yet; who looks is logged in if ``inside``."""
        context = await self._logins.browser.new_context(
            base_url=gateway.url,
            color_scheme=view.theme,
            viewport={"width": view.width, "height": HEIGHT},
            storage_state=await self._logins.at(gateway) if inside else None,
            timezone_id="Asia/Kathmandu",
            java_script_enabled=scripts,
        )
        self._contexts.append(context)
        await self._watch.over(context, gateway.url)
        return await context.new_page()

    async def end(self) -> None:
        """Close all of them."""
        for context in self._contexts:
            await context.close()


async def log_in(page: Page, password: str = PASSWORD) -> None:
    """Fill in the form and send it."""
    await page.goto("/ui/login")
    await page.get_by_label("Name").fill("admin")
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Log in").click()
