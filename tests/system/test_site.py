"""The web site of docs/ in a browser: pages come up whole, nobody else is asked, and what is searched for is found."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

from docs.site.browse import CHROMIUM, PATIENCE, served, visits

ROOT = Path(__file__).parents[2]
LOOKED_AT = (
    "index.html",
    "getting-started/index.html",
    "troubleshooting/index.html",
    "monitoring/index.html",
    "status-page/index.html",
)
"""The first ones that a reader opens, and the two that are heaviest with pictures."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The site as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", f"--site-dir={folder}"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with served(folder) as url:
        yield url


def test_pages_come_up_whole_and_ask_nobody_else(url: str) -> None:
    seen = asyncio.run(visits(url, LOOKED_AT))

    assert {visit.page: visit.complaints for visit in seen if visit.complaints} == {}
    assert [visit.page for visit in seen if visit.requests < 3] == []


def test_who_searches_for_pending_finds_what_to_do(url: str) -> None:
    async def run() -> None:
        confinement = ["--no-sandbox"] if os.geteuid() == 0 else []
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=confinement)
            try:
                page = await browser.new_page()
                page.set_default_timeout(PATIENCE)
                await page.goto(f"{url}/")
                await page.get_by_role("textbox", name="Search").fill("pending")
                first = page.locator(".md-search-result__link").first
                await expect(first).to_have_attribute("href", re.compile("/troubleshooting/"), timeout=PATIENCE)
            finally:
                await browser.close()

    asyncio.run(run())
