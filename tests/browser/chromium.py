"""Debian's Chromium, which asks nobody but the gateway for anything."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import product
from typing import Literal

from playwright.async_api import Browser, async_playwright

PROGRAM = "/usr/bin/chromium"
_ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)
HEIGHT = 900


@dataclass(frozen=True, slots=True)
class View:
    """How somebody looks at a page."""

    theme: Literal["light", "dark"] = "light"
    width: int = 1280

    def __str__(self) -> str:
        return f"{self.theme}-{self.width}"


USUAL = View()
_THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
VIEWS = [View(theme, width) for theme, width in product(_THEMES, (360, 1280, 2560))]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser, for as long as the block lasts."""
    arguments = [*_ARGUMENTS, *(["--no-sandbox"] if os.getuid() == 0 else [])]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=PROGRAM, args=arguments)
        yield browser
        await browser.close()
