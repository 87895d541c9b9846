"""The blocks of commands in README.md and docs/, and what stands before each about who runs it.

A mark is a comment before a block, which a reader doesn't see: `<!-- run: lab -->` (tests/system/test_page_commands.py
does, in a lab, in the order of the page), `<!-- run: test_x -->` (that test does, or all of that file),
`<!-- not run: why -->`. For all blocks of a page that have none of their own:
`<!-- commands of this page, not run: why -->`, or in the README.md beside them `<!-- commands of this folder, ... -->`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = tuple(
    str(page.relative_to(ROOT))
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
)
IN_LAB: Final = "lab"

_BLOCK: Final = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_MARK: Final = re.compile(r"<!-- (run|not run): ((?:(?!-->).)+) -->\s*\Z", re.DOTALL)
_PAGE: Final = re.compile(r"<!-- commands of this page, (run|not run): (.+?) -->", re.DOTALL)
_FOLDER: Final = re.compile(r"<!-- commands of this folder, (run|not run): (.+?) -->", re.DOTALL)
_SHELL: Final = ("sh", "bash", "console")
_PROGRAMS: Final = {
    "arping",
    "birdc",
    "curl",
    "docker",
    "export",
    "helm",
    "ip",
    "kubectl",
    "make",
    "ping",
    "pip",
    "podman",
    "purelb-lab",
    "pytest",
    "python",
    "python3",
    "systemctl",
}


@dataclass(frozen=True, slots=True)
class Block:
    """One block of commands."""

    page: str
    line: int
    text: str
    runs: bool | None
    """None: nothing says whether it is run."""
    by: str
    """`lab`, names of tests, or why it isn't run."""

    @property
    def place(self) -> str:
        """Where it is, for who looks for it."""
        return f"{self.page}:{self.line}"


def blocks(page: str) -> Iterator[Block]:
    """A page's blocks of commands, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    folder = (ROOT / page).with_name("README.md")
    whole = _PAGE.search(text) or (folder.exists() and _FOLDER.search(folder.read_text(encoding="utf-8"))) or None
    for found in _BLOCK.finditer(text):
        indentation, language, body = found.groups()
        if not _has_commands(language, body):
            continue
        mark = _MARK.search(text[: found.start()]) or whole
        runs, by = (mark[1] == "run", " ".join(mark[2].split())) if mark else (None, "")
        lines = [line.removeprefix(indentation) for line in body.splitlines()]
        yield Block(page, text[: found.start()].count("\n") + 1, "\n".join(lines), runs, by)


def _has_commands(language: str, body: str) -> bool:
    if language:
        return language in _SHELL
    words = body.split(maxsplit=1)
    return bool(re.search(r"^(\[[\w-]+\])?\$ ", body, re.MULTILINE)) or (bool(words) and words[0] in _PROGRAMS)
