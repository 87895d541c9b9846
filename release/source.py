"""The repository's files: a copy of those that git knows of, in which the version is moved, and the way back."""

from __future__ import annotations

import datetime
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from release.programs import run
from release.versions import PLACES, VersionError, changelog_for, moved, version_of

_NOT_OURS: Final = ("CHANGELOG.md", "constraints.txt", "requirements/", "tests/")
"""Files in which another's version, or an example's, may look like ours."""


def tracked(root: Path) -> Iterator[str]:
    """The files that git knows of, as far as they are there."""
    listed = run(["git", "ls-files", "-z"], root)
    yield from (name for name in listed.split("\0") if name and (root / name).is_file())


def copy_to(root: Path, copy: Path) -> tuple[str, ...]:
    """Copies what git knows of, with modes that don't depend on whose it is, and names it."""
    names = tuple(tracked(root))
    for name in names:
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, target)
        target.chmod(0o755 if os.access(root / name, os.X_OK) else 0o644)
    return names


def is_ours(name: str) -> bool:
    """Whether a version in that file can be this repository's."""
    return not name.startswith(_NOT_OURS) and "/tests/" not in name


def move_version(copy: Path, names: Sequence[str], version: str, today: datetime.date) -> None:
    """Let all files of the copy say that version. Raises VersionError, ReleaseFailed."""
    old = version_of({place: (copy / place).read_text() for place in PLACES})
    changelog = copy / "CHANGELOG.md"
    changelog.write_text(changelog_for(changelog.read_text(), version, today))
    if old != version:
        for name in names:
            content = (copy / name).read_bytes()
            if is_ours(name) and old.encode() in content:  # which a picture's bytes may be, too
                text = moved(content.decode(errors="surrogateescape"), old, version)
                (copy / name).write_bytes(text.encode(errors="surrogateescape"))
    run([sys.executable, "-m", "manifests.build"], copy)
    agreed = version_of({place: (copy / place).read_text() for place in PLACES})
    if agreed != version:
        raise VersionError(f"the files still say {agreed}")


def bring_back(copy: Path, root: Path, names: Sequence[str]) -> list[str]:
    """The files that the release changed, which now are so in the repository too."""
    changed = [name for name in names if (copy / name).read_bytes() != (root / name).read_bytes()]
    for name in changed:
        (root / name).write_bytes((copy / name).read_bytes())
    return changed
