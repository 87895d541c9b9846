"""`python -m docs.site.browse SITE`: every page of a built site in Debian's Chromium; a line of JSON for each.

Owns the browser and a server on loopback. Between the two is the line of a phone or a far place (10 Mbit/s, 60 ms), so
that it shows what a page weighs and in how many steps it comes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import functools
import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, ConsoleMessage, async_playwright

CHROMIUM: Final = "/usr/bin/chromium"
PATIENCE: Final = 30_000.0
"""Milliseconds for a page, and for what is looked for on it."""
LINE: Final = {"offline": False, "latency": 60, "downloadThroughput": 10e6 / 8, "uploadThroughput": 5e6 / 8}
"""Milliseconds there and back, bytes per second."""
_TIMES: Final = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const [painted] = performance.getEntriesByName("first-contentful-paint");
  return [painted ? painted.startTime : 0, page.loadEventEnd];
}"""
_BROKEN: Final = "() => [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"


@dataclass(frozen=True, slots=True)
class Visit:
    """One page, as a browser that has seen no other one of the site met it."""

    page: str
    painted_ms: int
    """Until the first words were there."""
    loaded_ms: int
    """Until all was."""
    requests: int
    complaints: tuple[str, ...]
    """Of the browser, about pictures that aren't there, and about whoever else than the site was asked."""


class _Quiet(SimpleHTTPRequestHandler):
    def handle(self) -> None:
        """A browser that leaves a page hangs up on what it asked for."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """A built site on loopback, by its URL without the last slash."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


async def visits(url: str, pages: Iterable[str]) -> list[Visit]:
    """Each page in a browser without a memory, one after the other."""
    confinement = ["--no-sandbox"] if os.geteuid() == 0 else []  # which root's Chromium can't have
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=confinement)
        try:
            return [await _visit(browser, url, page) for page in pages]
        finally:
            await browser.close()


async def _visit(browser: Browser, url: str, path: str) -> Visit:
    complaints: list[str] = []
    asked: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    context = await browser.new_context()
    try:
        page = await context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        network = await context.new_cdp_session(page)
        await network.send("Network.enable")
        await network.send("Network.emulateNetworkConditions", LINE)
        await page.goto(f"{url}/{path.removesuffix('index.html')}", wait_until="load", timeout=PATIENCE)
        painted, loaded = await page.evaluate(_TIMES)
        complaints += [f"no picture: {source}" for source in await page.evaluate(_BROKEN)]
    finally:
        await context.close()
    complaints += [f"asks {target}" for target in asked if not target.startswith((f"{url}/", "data:", "blob:"))]
    return Visit(path, round(painted), round(loaded), len(asked), tuple(complaints))


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.site.browse", description="Look at a built site.")
    parser.add_argument("site", type=Path, metavar="SITE", help="its folder")
    folder: Path = parser.parse_args(words).site
    pages = sorted(str(page.relative_to(folder)) for page in folder.rglob("index.html"))
    with served(folder) as url:
        seen = asyncio.run(visits(url, pages))
    for visit in seen:
        print(json.dumps(dataclasses.asdict(visit)))
    times = sorted(visit.loaded_ms for visit in seen)
    print(json.dumps({"pages": len(times), "median_ms": times[len(times) // 2], "worst_ms": times[-1]}))
    return 1 if any(visit.complaints for visit in seen) else 0


if __name__ == "__main__":
    sys.exit(main())
