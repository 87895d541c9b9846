"""Says which distributions of this repository a change touches: `python3 .ci/touched.py [BASE]`, or `make touched`.

A change is what differs between BASE (a commit; default: the one before HEAD) and the files as they are. A distribution
is touched when a file of its own changed, or when one that it depends on is touched; a file that all share (versions,
the Makefile, CI) touches all. Documents, measurements and fuzzing belong to none. Prints one line per touched
distribution, and never fails for want of a base: then all count as touched.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = (".ci/", "constraints.txt", "Makefile", "prepare")
NOBODYS = ("bench/", "docs/", "fuzz/", "LICENSE", "README.md", ".gitignore")
FOR_DEVELOPMENT = {"dev", "test"}
"""Extras that say what tests need, not what a distribution is made of."""


def distributions(root: Path) -> dict[str, tuple[str, set[str]]]:
    """Name -> its folder ("" is the root) and the names of what it depends on, of this repository or not."""
    found = {}
    for file in [root / "pyproject.toml", *sorted(root.glob("*/pyproject.toml"))]:
        project = tomllib.loads(file.read_text())["project"]
        extras = project.get("optional-dependencies", {})
        wanted = [*project.get("dependencies", ())]
        wanted += [line for extra, lines in extras.items() if extra not in FOR_DEVELOPMENT for line in lines]
        folder = "" if file.parent == root else f"{file.parent.name}/"
        names = {match[0].lower() for line in wanted if (match := re.match(r"[\w.-]+", line))}
        found[project["name"]] = (folder, names)
    return found


def touched(changed: Iterable[str], known: Mapping[str, tuple[str, set[str]]]) -> dict[str, str]:
    """Name -> why it is touched, in a few words, for the files that changed (paths from the root)."""
    whys: dict[str, str] = {}
    folders = {folder: name for name, (folder, _) in known.items() if folder}
    root = next(name for name, (folder, _) in known.items() if not folder)
    for path in sorted(changed):
        if path.startswith(SHARED):
            return dict.fromkeys(known, f"{path} is shared by all")
        owner = next((name for folder, name in folders.items() if path.startswith(folder)), None)
        if owner is None and not path.startswith(NOBODYS):
            owner = root
        if owner is not None:
            whys.setdefault(owner, f"{path} changed")
    while more := {
        name: f"depends on {min(uses & whys.keys())}"
        for name, (_, uses) in known.items()
        if name not in whys and uses & whys.keys()
    }:
        whys |= more
    return whys


def changed_files(base: str) -> list[str] | None:
    """Paths that differ from a commit, new files included; None if there is no such commit."""
    git = ["git", "-C", str(ROOT)]
    differing = subprocess.run([*git, "diff", "--name-only", base, "--"], capture_output=True, text=True, check=False)
    if differing.returncode != 0:
        return None
    new = subprocess.run(
        [*git, "ls-files", "--others", "--exclude-standard"], capture_output=True, text=True, check=False
    )
    return [*differing.stdout.splitlines(), *new.stdout.splitlines()]


def main() -> None:
    base = sys.argv[1] if len(sys.argv) > 1 else "HEAD~1"
    known = distributions(ROOT)
    changed = changed_files(base)
    if changed is None:
        whys = dict.fromkeys(known, f"there is no {base} to compare with")
    else:
        whys = touched(changed, known)
    for name, why in sorted(whys.items()):
        print(f"{name}: {why}")
    if not whys:
        print("no distribution is touched")


if __name__ == "__main__":
    main()
