"""Where the kernels come from: the machine's own Debian servers, with a configuration of apt's beside the machine's."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernels.packages import KernelsError, Release, apt_options, debian_mirror, fetch, source_line

BULLSEYE = Release("bullseye", "5.10")


def test_the_mirror_is_that_of_the_machines_own_debian_sources() -> None:
    targets = [
        "https://tools.example/apt/|main||Tools",
        "http://mirror.example/debian-security/|main|Debian|Debian-Security",
        "http://mirror.example/debian/|contrib|Debian|Debian",
        "http://mirror.example/debian/|main|Debian|Debian",
    ]

    assert debian_mirror(targets) == "http://mirror.example/debian/"
    assert debian_mirror(targets[:3]) is None


def test_a_release_is_one_source_checked_with_debians_keys_where_they_are() -> None:
    mirror = "http://mirror.example/debian/"

    assert source_line(mirror, BULLSEYE, None) == f"deb {mirror} bullseye main\n"
    assert source_line(mirror, BULLSEYE, Path("/keys")) == f"deb [signed-by=/keys] {mirror} bullseye main\n"


def test_apt_reads_and_writes_below_our_folder_alone() -> None:
    options = apt_options(Path("/cache"))

    assert "--option=Dir::Etc::SourceList=/cache/sources.list" in options
    assert "--option=Dir::Etc::SourceParts=-" in options
    assert {"--option=Dir::State::Lists=/cache/lists", "--option=Dir::Cache=/cache/cache"} <= set(options)


def test_what_was_unpacked_once_is_used_again(tmp_path: Path) -> None:
    unpacked = tmp_path / "bullseye" / "unpacked"
    unpacked.mkdir(parents=True)

    kernel = fetch(BULLSEYE, tmp_path)

    assert kernel.program == unpacked / "usr/bin/linux.uml"
    assert kernel.modules == unpacked


def test_a_machine_without_apt_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(KernelsError, match="apt-get"):
        fetch(BULLSEYE, tmp_path)
