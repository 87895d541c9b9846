"""What the pages of a built site lead to, what a browser loads with each, and what of it isn't there. Pure.

MkDocs judges the links of the Markdown; this is about the HTML that comes of it, with the theme's and the navigation's.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import unquote, urlsplit

HEAVIEST: Final = 1_500_000
"""Bytes that a page may have a browser fetch, uncompressed: a second at 12 Mbit/s."""

_LOADED: Final = {"script": "src", "img": "src", "source": "src", "video": "src", "iframe": "src"}
_LOADED_LINKS: Final = {"stylesheet", "icon", "preload", "modulepreload"}


@dataclass(slots=True)
class Page:
    """What a page of HTML refers to, as it is written there."""

    links: list[str] = field(default_factory=list)
    """Where a reader can go."""
    loads: list[str] = field(default_factory=list)
    """What a browser fetches to show it."""
    places: set[str] = field(default_factory=set)
    """What can be linked to in it."""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self.page.places |= {said[name] for name in ("id", "name") if said.get(name)}
        if tag == "a" and "href" in said:
            self.page.links.append(said["href"])
        elif tag == "link" and _LOADED_LINKS & set(said.get("rel", "").split()):
            self.page.loads.append(said["href"])
        elif tag in _LOADED and said.get(_LOADED[tag]):
            self.page.loads.append(said[_LOADED[tag]])


def read(html: str) -> Page:
    """A page, as far as it matters here."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.page


def faults(pages: Mapping[str, Page], sizes: Mapping[str, int]) -> Iterator[str]:
    """A sentence for each thing that is wrong.

    `pages` are those of the site by their paths in it (`lab/index.html`), `sizes` has the bytes of each of its files.
    """
    for path, page in pages.items():
        for target in page.links:
            if not is_elsewhere(target) and (trouble := _trouble(path, target, pages, sizes)):
                yield f"{path}: {target}: {trouble}"
        for target in page.loads:
            if is_elsewhere(target):
                yield f"{path}: {target}: is fetched from elsewhere"
            elif not urlsplit(target).scheme and _file(path, target) not in sizes:
                yield f"{path}: {target}: is no file"
        if (weight := weighed(path, page, sizes)) > HEAVIEST:
            yield f"{path}: {weight} bytes are fetched for it, more than {HEAVIEST}"


def weighed(path: str, page: Page, sizes: Mapping[str, int]) -> int:
    """The bytes of a page and of what a browser fetches with it."""
    files = {path, *(_file(path, target) for target in page.loads)}
    return sum(sizes.get(file, 0) for file in files)


def elsewhere(pages: Mapping[str, Page]) -> dict[str, list[str]]:
    """The pages that lead to each address outside of the site."""
    found: dict[str, list[str]] = {}
    for path, page in sorted(pages.items()):
        for target in sorted(set(page.links)):
            if is_elsewhere(target):
                found.setdefault(target, []).append(path)
    return found


def is_elsewhere(target: str) -> bool:
    """Whether it is an address of the web."""
    return urlsplit(target).scheme in ("http", "https") or target.startswith("//")


def _trouble(path: str, target: str, pages: Mapping[str, Page], sizes: Mapping[str, int]) -> str:
    parts = urlsplit(target)
    if parts.scheme:  # mailto and the like
        return ""
    file = _file(path, target)
    if file not in sizes:
        return "is no page"
    if parts.fragment and file in pages and unquote(parts.fragment) not in pages[file].places:
        return "is no place on that page"
    return ""


def _file(path: str, target: str) -> str:
    """The file of the site that a page means; one that begins with a slash is below the site's root."""
    wanted = unquote(urlsplit(target).path)
    if not wanted:
        return path
    file = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), wanted)).strip("/")
    is_folder = wanted.endswith(("/", "/.", "/..")) or wanted in (".", "..")
    return posixpath.join(file, "index.html") if is_folder else file
