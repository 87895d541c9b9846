"""The images' lock files say the same versions as the one for development, and name every dependency."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD_ONLY = {"setuptools"}
EXTRAS = {"allocator": "ipam", "lbnodeagent": "agent"}


def pinned(file: Path) -> dict[str, str]:
    """Normalized name -> version."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", file.read_text(), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def needed(folder: Path, extra: str) -> list[str]:
    """What a distribution of this repository asks for with one of its extras."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"][extra]]


@pytest.mark.parametrize("program", EXTRAS)
def test_an_image_has_the_versions_that_were_tested(program: str) -> None:
    locked, tested = pinned(ROOT / "requirements" / f"{program}.txt"), pinned(ROOT / "constraints.txt")

    missing = set(locked) - set(tested) - BUILD_ONLY - {"win-inet-pton"}  # another system's
    assert missing == set()
    differing = {name for name, version in locked.items() if tested.get(name, version) != version}
    assert differing - BUILD_ONLY == set(), "make locks"


@pytest.mark.parametrize("program", EXTRAS)
def test_an_image_has_every_dependency_of_its_program(program: str) -> None:
    wanted = needed(ROOT, EXTRAS[program])
    if any(line.startswith("memberlist") for line in wanted):
        wanted = [line for line in wanted if not line.startswith("memberlist")]
        wanted += needed(ROOT / "memberlist", "encryption")

    names = {re.split(r"[<>=\[]", line)[0].lower() for line in wanted}

    assert names <= set(pinned(ROOT / "requirements" / f"{program}.txt"))


def test_every_line_is_held_by_hashes() -> None:
    for program in EXTRAS:
        text = (ROOT / "requirements" / f"{program}.txt").read_text()
        entries = re.split(r"\n(?=[a-zA-Z])", text.strip())
        assert all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.parametrize("program", EXTRAS)
def test_an_image_for_arm_needs_no_compiler(program: str, tmp_path: Path) -> None:
    """There is a wheel of every package, and the lock file knows its hash."""
    platforms = [f"--platform={tag}_aarch64" for tag in ("manylinux2014", "manylinux_2_17", "manylinux_2_28")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version=3.11", "--implementation=cp"]
    command += [*platforms, f"--target={tmp_path}", f"--requirement={ROOT / 'requirements' / f'{program}.txt'}"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
