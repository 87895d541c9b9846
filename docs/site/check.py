"""`python -m docs.site.check SITE`: whether a built site holds together; with --elsewhere, whether the web has what it
leads to, which takes a network.

Owns the folder and the questions to others. What is wrong in a page, `built` decides.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from docs.site.built import Page, elsewhere, faults, read, weighed

AT_ONCE: Final = 8
PATIENCE: Final = 30.0
"""Seconds for an answer."""
UNSAID: Final = (401, 403, 405, 406, 429, 503)
"""Answers of sites that don't like to be asked by programs: whether the page is there, they don't say."""
AGENT: Final = "Mozilla/5.0 (compatible; purelb-docs)"


def site(folder: Path) -> tuple[dict[str, Page], dict[str, int]]:
    """Its pages, and the bytes of all its files, by their paths in it."""
    files = {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}
    pages = {path: read(file.read_text(encoding="utf-8")) for path, file in files.items() if path.endswith(".html")}
    return pages, {path: file.stat().st_size for path, file in files.items()}


async def unanswered(targets: Iterable[str]) -> dict[str, str]:
    """What is wrong with each address of the web that isn't there; one request at a time for each host."""
    slots, hosts = asyncio.Semaphore(AT_ONCE), dict[str, asyncio.Lock]()
    troubles: dict[str, str] = {}

    async def ask(session: aiohttp.ClientSession, target: str) -> None:
        async with hosts.setdefault(urlsplit(target).netloc, asyncio.Lock()), slots:
            if trouble := await _asked(session, target):
                troubles[target] = trouble

    patience = aiohttp.ClientTimeout(total=PATIENCE)
    async with (
        aiohttp.ClientSession(timeout=patience, headers={"User-Agent": AGENT}, trust_env=True) as session,
        asyncio.TaskGroup() as tasks,
    ):
        for target in targets:
            tasks.create_task(ask(session, target))
    return troubles


async def _asked(session: aiohttp.ClientSession, target: str) -> str:
    address, _, place = target.partition("#")
    try:
        async with session.get(address) as answer:
            if answer.status in UNSAID:
                return ""
            if answer.status >= 400:
                return f"answers {answer.status}"
            if not place or answer.content_type != "text/html":
                return ""
            places = read(await answer.text(errors="replace")).places
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"doesn't answer: {str(error) or type(error).__name__}"
    return "" if places & {place, f"user-content-{place}"} else f"has no place {place}"


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.site.check", description="Check a built site.")
    parser.add_argument("site", type=Path, metavar="SITE", help="its folder")
    parser.add_argument("--elsewhere", action="store_true", help="ask the web for what it leads to, and nothing else")
    given = parser.parse_args(words)
    pages, sizes = site(given.site)
    if not pages:
        print(f"{given.site} has no pages; make docs builds them", file=sys.stderr)
        return 1
    if given.elsewhere:
        leading = elsewhere(pages)
        missing = asyncio.run(unanswered(leading))
        wrong = [f"{target}: {trouble} ({', '.join(leading[target])})" for target, trouble in sorted(missing.items())]
        checked = f"{len(leading)} links to elsewhere"
    else:
        wrong = list(faults(pages, sizes))
        heaviest = max(pages, key=lambda path: weighed(path, pages[path], sizes))
        weight = weighed(heaviest, pages[heaviest], sizes) / 1e6
        links = sum(len(page.links) for page in pages.values())
        checked = f"{links} links on {len(pages)} pages, the heaviest of which is {heaviest} with {weight:.1f} MB"
    print("\n".join([*wrong, f"{checked}: {f'{len(wrong)} wrong' if wrong else 'all well'}"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
