"""Builds both images with buildah, on a base of Debian's own packages, and lays them out for `purelb-lab up --images`.

`python -m lab.command.buildimages DIR`; needs root, debootstrap and buildah, but no registry and no container runtime.
Owns the way from Dockerfiles to folders (see `kubelet.images`); everything that it makes lies below DIR.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.errors import LabError
from lab.kubelet.images import CONFIG, ROOTFS
from lab.machine.processes import REPOSITORY

DOCKERFILES: Final[Mapping[str, str]] = {
    "purelb-allocator": "Dockerfile.allocator",
    "purelb-lbnodeagent": "Dockerfile.agent",
}
_BASE: Final = "purelb-base"
_EMULATORS: Final[Mapping[str, str]] = {"amd64": "qemu-x86_64", "arm64": "qemu-aarch64"}
"""By Debian's name of an architecture, which is the OCI's too: what Debian's qemu-user-static calls its emulator."""
_BINFMT: Final = Path("/proc/sys/fs/binfmt_misc")
_SUITE: Final = "bookworm"
_PACKAGES: Final = "python3,python3-venv"
_APT_SOURCES: Final = Path("/etc/apt")
_DEBIAN: Final = re.compile(r"https?://\S+/debian/?(?=\s|$)", re.MULTILINE)
_PIP_SETTINGS: Final = ("cert", "extra-index-url", "index-url", "proxy", "timeout", "trusted-host")
_SECONDS: Final = 900
_TIME: Final = 0
"""Seconds since 1970 that all files of an image were changed at, so that two builds differ by nothing."""


class BuildFailed(LabError):
    """A program of the build failed; its last words are in the sentence."""


@dataclass(frozen=True, slots=True)
class Built:
    """An image."""

    size: int
    """The bytes that it adds to its base."""
    digest: str
    """Of its manifest: two that were built alike, on the same base, have the same."""


class Builder:
    """One storage of buildah's: with layers as overlays where the kernel lets it, else as plain folders (vfs)."""

    def __init__(self, folder: Path, architecture: str | None = None) -> None:
        self._folder = folder
        self._architecture = [f"--arch={architecture}"] if architecture else []
        self._storage = folder / "storage"
        self._driver = "overlay"

    def make_base(self) -> None:
        """An image of minimal Debian with Python, by debootstrap from the mirror that this machine's apt uses."""
        try:
            container, root = self._empty_container()
        except BuildFailed:  # an overlay can't lie on another one, as in some containers
            self.forget()
            self._driver = "vfs"
            container, root = self._empty_container()
        bootstrap = [
            "debootstrap",
            *self._architecture,
            "--variant=minbase",
            f"--include={_PACKAGES}",
            _SUITE,
            root,
            debian_mirror(),
        ]
        _run(bootstrap)
        for cache in ("var/cache/apt/archives", "var/lib/apt/lists", "var/log"):
            shutil.rmtree(Path(root) / cache, ignore_errors=True)
        self._buildah("umount", container)
        self._buildah("commit", "--quiet", "--rm", container, _BASE)

    def _empty_container(self) -> tuple[str, str]:
        """Its name and the folder that it is mounted on."""
        container = self._buildah("from", *self._architecture, "--quiet", "scratch")
        return container, self._buildah("mount", container)

    def build(self, name: str, dockerfile: str) -> Built:
        """Build an image and lay it out."""
        target = self._folder / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        self._buildah(
            "build",
            *self._architecture,
            "--isolation=chroot",
            f"--timestamp={_TIME}",
            f"--build-arg=BASE=localhost/{_BASE}",
            *(f"--volume={source}:{inside}:ro" for source, inside in self._pip_mounts()),
            f"--output=type=local,dest={target / ROOTFS}",
            f"--file={dockerfile}",
            f"--tag={name}",
            ".",
        )
        described = json.loads(self._buildah("inspect", "--type=image", name))
        (target / CONFIG).write_text(json.dumps(described["OCIv1"]["config"], indent=2))
        return Built(tree_size(target / ROOTFS / "opt" / "purelb"), described["FromImageDigest"])

    def forget(self) -> None:
        """Remove buildah's storage; the laid out images stay."""
        if self._storage.exists():
            with contextlib.suppress(BuildFailed):
                self._buildah("umount", "--all")
            shutil.rmtree(self._storage, ignore_errors=True)

    def _pip_mounts(self) -> Iterator[tuple[Path, str]]:
        """This machine's way to the package index, for the pip of the build."""
        settings = pip_settings()
        if not settings:
            return
        if "cert" in settings:
            yield Path(settings["cert"]).resolve(), settings["cert"]
        file = self._folder / "pip.conf"
        file.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))
        yield file, "/etc/pip.conf"

    def _buildah(self, *arguments: str) -> str:
        storage = ["--root", str(self._storage / "root"), "--runroot", str(self._storage / "run")]
        return _run(["buildah", "--storage-driver", self._driver, *storage, *arguments]).strip()


def check_runs_here(architecture: str, emulated: Path = _BINFMT) -> None:
    """Raises BuildFailed where this machine can't run an architecture's programs, as the build does.

    `emulated` has a file for each emulator that the kernel knows (admin-guide/binfmt-misc).
    """
    own = _run(["dpkg", "--print-architecture"]).strip()
    if architecture != own and not (emulated / _EMULATORS[architecture]).exists():
        raise BuildFailed(f"programs of {architecture} don't run here: apt-get install qemu-user-static binfmt-support")


def debian_mirror() -> str:
    """The first Debian mirror in apt's own sources. Raises BuildFailed."""
    for file in sorted([*_APT_SOURCES.glob("sources.list"), *_APT_SOURCES.glob("sources.list.d/*")]):
        lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
        if found := _DEBIAN.search("\n".join(lines)):
            return found[0]
    raise BuildFailed(f"apt's sources in {_APT_SOURCES} name no Debian mirror to make a base image from")


def pip_settings() -> dict[str, str]:
    """What this machine's pip was told about its index."""
    listed = _run([sys.executable, "-m", "pip", "config", "list"])
    pairs = (line.partition("=")[::2] for line in listed.splitlines())
    known = {key.rpartition(".")[2]: value.strip().strip("'\"") for key, value in pairs}
    return {key: known[key] for key in _PIP_SETTINGS if key in known}


def tree_size(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def _run(command: Sequence[str]) -> str:
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    try:
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=environment,
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise BuildFailed(f"{command[0]}: {failure}") from failure
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-8:]
        raise BuildFailed(f"{' '.join(command[:2])} ended with code {done.returncode}: {' / '.join(words)}")
    return done.stdout


def build_all(folder: Path, *, twice: bool = False, architecture: str | None = None) -> dict[str, Built]:
    """Both images below that folder; of this machine's architecture, or of another one that it can emulate.

    Raises BuildFailed, also when they are built `twice` and come out differently.
    """
    if architecture:
        check_runs_here(architecture)
    folder.mkdir(parents=True, exist_ok=True)
    builder = Builder(folder, architecture)
    builder.forget()
    try:
        builder.make_base()
        built = {name: builder.build(name, dockerfile) for name, dockerfile in DOCKERFILES.items()}
        if twice:
            again = {name: builder.build(name, dockerfile) for name, dockerfile in DOCKERFILES.items()}
            if different := [name for name in built if built[name].digest != again[name].digest]:
                raise BuildFailed(f"built twice, these came out differently: {', '.join(different)}")
        return built
    finally:
        builder.forget()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.command.buildimages", description="Build PureLB's images.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the images go")
    parser.add_argument("--twice", action="store_true", help="build each twice; fails unless both are alike")
    parser.add_argument("--arch", choices=_EMULATORS, help="of another architecture, by QEMU; they go to DIR/ARCH then")
    given = parser.parse_args()
    folder: Path = given.folder.absolute() / (given.arch or "")
    began = time.monotonic()
    try:
        images = build_all(folder, twice=given.twice, architecture=given.arch)
    except LabError as failure:
        print(f"lab.command.buildimages: {failure}", file=sys.stderr)
        return 1
    for name, image in images.items():
        print(f"{name}: {image.size / 1e6:.0f} MB beyond its base, in {folder / name}; {image.digest}")
    print(f"built in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
