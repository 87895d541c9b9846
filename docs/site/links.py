"""Links of a page, which are between files of the repository, as links between pages of the site. Pure.

A link to a file that is no page becomes one to the repository's web view, or, while nobody has said where that is,
the words alone.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Final

DOCS: Final = "docs"

_FENCED: Final = re.compile(r"^([ ]*)```.*?^\1```[^\n]*$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_ELSEWHERE: Final = re.compile(r"[a-z]+:|#")


def rewritten(text: str, source: str, pages: Mapping[str, str], view: str = "") -> str:
    """The page with links that hold on the site.

    `source` is its path in the repository, `pages` has every page's path on the site by its path in the repository,
    `view` is what stands before a path in the repository's web view.
    """
    parts, end = [], 0
    for fenced in _FENCED.finditer(text):
        parts += [_outside(text[end : fenced.start()], source, pages, view), fenced.group()]
        end = fenced.end()
    return "".join((*parts, _outside(text[end:], source, pages, view)))


def anchor(heading: str) -> str:
    """By what name forges let a heading be linked to; `heading` is its plain text."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _outside(text: str, source: str, pages: Mapping[str, str], view: str) -> str:
    here = posixpath.dirname(_on_site(source, pages))

    def link(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        if _ELSEWHERE.match(target):
            return found.group()
        path, mark, anchor = target.partition("#")
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if file in pages or file.startswith(f"{DOCS}/"):
            return f"{picture}[{words}]({posixpath.relpath(_on_site(file, pages), here or '.')}{mark}{anchor})"
        return f"[{words}]({view}{file}{mark}{anchor})" if view else words

    return _LINK.sub(link, text)


def _on_site(file: str, pages: Mapping[str, str]) -> str:
    return pages.get(file, file.removeprefix(f"{DOCS}/"))
