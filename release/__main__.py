"""`python -m release VERSION`: everything that a release consists of, in dist/VERSION; it publishes nothing.

The version is moved in a copy of what git knows of; the release is made of that copy, and only when all of it could be
made are the files that say another version than before brought back. Twice the same version gives the same bytes.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from release.products import SUMS, make
from release.programs import ReleaseFailed
from release.source import bring_back, copy_to, move_version
from release.versions import VersionError, check_shape

ROOT: Final = Path(__file__).parents[1]


def said(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def check_replaceable(target: Path) -> None:
    """Raises ReleaseFailed where a folder has something else than a release, all of which would be gone."""
    if target.exists() and not (target.is_dir() and ((target / SUMS).is_file() or not any(target.iterdir()))):
        raise ReleaseFailed(f"{target} is there, and is no release that another may take the place of")


def release(version: str, target: Path, today: datetime.date, *, keep: bool) -> None:
    """Make a release in the folder `target`, in the place of one that is there. Raises VersionError, ReleaseFailed."""
    check_shape(version)
    check_replaceable(target)
    with tempfile.TemporaryDirectory(prefix="purelb-release-") as name:
        copy, out = Path(name) / "purelb", Path(name) / "out"
        copy.mkdir()
        out.mkdir()
        names = copy_to(ROOT, copy)
        move_version(copy, names, version, today)
        for step in make(copy, out, version):
            said(step)
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(out, target)
        changed = [] if keep else bring_back(copy, ROOT, names)
    said(f"{target} has {len(list(target.iterdir()))} files; nothing was published.")
    if changed:
        said(f"{len(changed)} files say {version} now. Next: make lint unit, git commit -a, git tag -s v{version}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m release", description="Make a release; publish nothing.")
    parser.add_argument("version", metavar="VERSION", help="for example 0.2.0")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where its files go (dist/VERSION)")
    parser.add_argument("--keep", action="store_true", help="leave the repository's own files as they are")
    given = parser.parse_args()
    out: Path = given.out or ROOT / "dist" / given.version
    try:
        release(given.version, out.absolute(), datetime.datetime.now(datetime.UTC).date(), keep=given.keep)
    except (VersionError, ReleaseFailed) as failure:
        print(f"release: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
