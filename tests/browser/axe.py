"""Axe, which finds what people with a keyboard, a screen reader or weak eyes would stumble over."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page


async def accessible(page: Page) -> None:
    """Fail if axe finds anything on the page as it is now."""
    if not await page.evaluate("'axe' in globalThis"):
        await page.evaluate(AXE_SCRIPT)
    found = await page.evaluate("axe.run()")
    assert not found["violations"], "\n".join(map(_told, found["violations"]))


def _told(violation: dict[str, Any]) -> str:
    places = "".join(f"\n  {node['html'][:200]}\n    {node['failureSummary']}" for node in violation["nodes"])
    return f"{violation['id']}: {violation['help']}{places}"
