"""The site's navigation: what mkdocs.yml says, with its patterns replaced by the pages that there are. Pure.

A pattern (`runbooks/*.md`) takes the pages that no other entry names and no pattern before it took, by name; one that
no page fits is left out, and so is a section in which nothing is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

Entry = Any
"""As in mkdocs.yml: a page's path or a pattern, or `{title: page}`, or `{title: [entries]}`."""


def expanded(entries: Iterable[Entry], pages: Iterable[str]) -> list[Entry]:
    """The navigation without patterns."""
    entries = list(entries)
    left = sorted(set(pages) - {name for name in _named(entries) if "*" not in name})
    return list(_expanded(entries, left))


def _expanded(entries: Iterable[Entry], left: list[str]) -> Iterator[Entry]:
    for entry in entries:
        match entry:
            case str() if "*" in entry:
                found = [page for page in left if fnmatchcase(page, entry)]
                left[:] = [page for page in left if page not in found]
                yield from found
            case dict():
                ((title, inner),) = entry.items()
                if not isinstance(inner, list):
                    yield entry
                elif kept := list(_expanded(inner, left)):
                    yield {title: kept}
            case _:
                yield entry


def _named(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        match entry:
            case dict():
                for inner in entry.values():
                    yield from _named(inner if isinstance(inner, list) else [inner])
            case _:
                yield entry
