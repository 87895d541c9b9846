"""Whether images of another architecture can be built here is said before anything is made."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.command.buildimages import BuildFailed, check_runs_here


@pytest.fixture(scope="module")
def own() -> str:
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def test_one_s_own_architecture_needs_no_emulator(own: str, tmp_path: Path) -> None:
    check_runs_here(own, tmp_path)


def test_another_one_without_an_emulator_is_refused_with_what_is_missing(own: str, tmp_path: Path) -> None:
    another = "arm64" if own == "amd64" else "amd64"

    with pytest.raises(BuildFailed, match=f"programs of {another} don't run here: apt-get install qemu-user-static"):
        check_runs_here(another, tmp_path)


def test_an_emulator_that_the_kernel_knows_will_do(own: str, tmp_path: Path) -> None:
    for name in ("qemu-aarch64", "qemu-x86_64"):
        (tmp_path / name).touch()

    check_runs_here("arm64" if own == "amd64" else "amd64", tmp_path)
