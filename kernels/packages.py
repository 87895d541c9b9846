"""Kernels from Debian's packages: the package user-mode-linux of a release, its kernel and its modules, in a folder.

apt fetches and checks it, with a configuration of its own beside the machine's: the servers are those of the machine's
own sources, and nothing is installed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PACKAGE: Final = "user-mode-linux"
_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TARGETS: Final = "$(REPO_URI)|$(COMPONENT)|$(ORIGIN)|$(LABEL)"


class KernelsError(Exception):
    """A kernel can't be had or run; one sentence."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release of Debian, and what its kernel is called there."""

    codename: str
    version: str
    """Major and minor number of its kernel, as users name it."""


RELEASES: Final = (Release("bookworm", "6.1"), Release("bullseye", "5.10"))


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel, unpacked."""

    program: Path
    modules: Path
    """The folder that has lib/modules/RELEASE: modprobe's --dirname."""


def debian_mirror(targets: Iterable[str]) -> str | None:
    """The address of a Debian archive among apt's index targets, as ``_TARGETS`` writes them."""
    for line in targets:
        uri, component, origin, label = line.split("|")
        if (component, origin, label) == ("main", "Debian", "Debian"):
            return uri
    return None


def source_line(mirror: str, release: Release, keyring: Path | None) -> str:
    """sources.list(5) for one release."""
    options = f"[signed-by={keyring}] " if keyring else ""
    return f"deb {options}{mirror} {release.codename} main\n"


def apt_options(folder: Path) -> list[str]:
    """What makes apt keep all it writes in ``folder``, and read its sources there."""
    return [
        f"--option={name}={value}"
        for name, value in {
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": "-",
            "Dir::State::Lists": folder / "lists",
            "Dir::Cache": folder / "cache",
            "APT::Sandbox::User": "root",  # the folder is nobody's but ours
        }.items()
    ]


def fetch(release: Release, cache: Path) -> Kernel:
    """The release's kernel, from ``cache`` if it is there. Raises KernelsError."""
    folder = cache / release.codename
    unpacked = folder / "unpacked"
    if not unpacked.is_dir():
        _download(release, folder)
        partial = folder / "unpacking"
        (package,) = folder.glob(f"{PACKAGE}_*.deb")
        _run(["dpkg-deb", "--extract", str(package), str(partial)], folder)
        # modprobe looks below lib/modules, the package has them below usr/lib/uml/modules.
        (partial / "lib").mkdir()
        (partial / "lib" / "modules").symlink_to("../usr/lib/uml/modules")
        partial.rename(unpacked)
    return Kernel(unpacked / "usr" / "bin" / "linux.uml", unpacked)


def _download(release: Release, folder: Path) -> None:
    mirror = debian_mirror(
        _run(["apt-get", "indextargets", "--format", _TARGETS, "Created-By: Packages"], Path.cwd()).splitlines()
    )
    if mirror is None:
        raise KernelsError("apt knows no Debian archive here, from which the kernels come")
    _run(["rm", "-rf", str(folder)], Path.cwd())
    for needed in ("lists/partial", "cache/archives/partial"):
        (folder / needed).mkdir(parents=True)
    keyring = _KEYRING if _KEYRING.exists() else None
    (folder / "sources.list").write_text(source_line(mirror, release, keyring))
    options = apt_options(folder)
    _run(["apt-get", "--quiet=2", *options, "update"], folder)
    _run(["apt-get", "--quiet=2", *options, "download", PACKAGE], folder)


def _run(command: Sequence[str], folder: Path) -> str:
    try:
        done = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelsError(f"{command[0]}: {error}") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
        raise KernelsError(f"{command[0]} failed: {last}")
    return done.stdout
