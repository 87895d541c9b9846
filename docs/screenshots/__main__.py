"""Takes the pictures: Debian's Chromium before a status page whose cluster is scene.py's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, Page, async_playwright
from prometheus_client import CollectorRegistry

from allocator.page.metrics import PageMetrics
from allocator.page.server import PageServer
from docs.screenshots.scene import LATER, TELLER, moments
from purelb.settings import PageSettings

IMAGES: Final = Path(__file__).parents[1] / "img"
CHROMIUM: Final = "/usr/bin/chromium"
PICTURES: Final[dict[str, dict[str, Any]]] = {
    "status-page-light": {"color_scheme": "light", "viewport": {"width": 1240, "height": 1560}},
    "status-page-dark": {"color_scheme": "dark", "viewport": {"width": 1240, "height": 900}},
    "status-page-phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "is_mobile": True},
}
"""File: the browser that takes it."""


async def take(browser: Browser, url: str, name: str) -> None:
    """One picture."""
    context = await browser.new_context(**PICTURES[name], locale="en-GB", timezone_id="UTC")
    page = await context.new_page()
    await page.clock.set_fixed_time(LATER * 1000)
    await page.goto(url)
    await page.locator("#vips-body tr").nth(5).wait_for()
    if name.endswith("dark"):
        await what_if(page)
    await page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")
    await context.close()


async def what_if(page: Page) -> None:
    """The dialog that foresees a node's death."""
    await page.get_by_role("button", name="What if rack2-worker1").click()
    await page.locator("dialog[open]").wait_for()


async def main() -> None:
    """All of them."""
    server = await PageServer(PageSettings(0), TELLER, PageMetrics(CollectorRegistry())).start()
    try:
        url = f"http://127.0.0.1:{await server.port()}/"
        for moment in moments():
            server.show(moment)
            await asyncio.sleep(0.15)  # each is seen: of several at once only the last is
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for name in PICTURES:
                await take(browser, url, name)
            await browser.close()
    finally:
        await server.close()


if __name__ == "__main__":
    asyncio.run(main())
