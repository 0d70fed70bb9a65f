"""Every page of the dashboard, found as a visitor finds them."""

from __future__ import annotations

import re

from playwright.async_api import Page

HOME = "/ui/"
_FILES = ("/ui/static/", "/ui/logout")
_LINKS = "links => links.map(link => link.getAttribute('href'))"


async def sitemap(page: Page) -> list[str]:
    """What the menu leads to, and of each kind of page that those lead to, one."""
    await page.goto(HOME)
    sections = await _links(page, "nav a[href]")
    found = {_kind(path): path for path in sections}
    for section in sections:
        await page.goto(section)
        for path in await _links(page, "main a[href]"):
            found.setdefault(_kind(path), path)
    return list(found.values())


def name_of(path: str) -> str:
    """A name for the page's screenshot."""
    return re.sub(r"\W+", "-", path.removeprefix(HOME)).strip("-")[:60] or "overview"


async def _links(page: Page, selector: str) -> list[str]:
    """The dashboard's own pages among the links, without query and place in the page."""
    found = await page.eval_on_selector_all(f"{selector}:not([download])", _LINKS)
    paths = (re.split("[?#]", link)[0] for link in found)
    return list(
        dict.fromkeys(path for path in paths if path.startswith(HOME) and not path.startswith(_FILES))
    )


def _kind(path: str) -> tuple[str, int]:
    """Pages of one section, as deep, show the same of different things."""
    steps = path.removeprefix(HOME).split("/")
    return steps[0], len(steps)
