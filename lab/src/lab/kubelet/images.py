"""Images as folders, which the lab's kubelets can start programs from instead of from the machine's own file system.

Owns the layout: DIR/NAME/rootfs is the file system of the image NAME (without registry and tag), DIR/NAME/config.json
its configuration in the OCI image specification's words. Must not build or start anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

ROOTFS, CONFIG = "rootfs", "config.json"


class MissingImage(LabError):
    """No folder holds that image, or what it holds is none: ErrImageNeverPull."""


class BadUser(LabError):
    """The image's user can't be told from its own /etc/passwd."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image's file system and what it says about its program."""

    root: Path
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str  # "", "65534", "nobody", "65534:65534"
    folder: str  # working directory

    def argv(self, command: list[str], arguments: list[str]) -> tuple[str, ...]:
        """What to run when the manifest says `command` and `args` (Kubernetes: "Define a Command and Arguments")."""
        if command:
            return (*command, *arguments)
        return (*self.entrypoint, *(arguments or self.command))

    def ids(self) -> tuple[int, int]:
        """Uid and gid that the image asks for; names are looked up in its own files. Raises BadUser."""
        user, _, group = self.user.partition(":")
        uid, gid = (0, 0) if not user else self._account("passwd", user)
        if group:
            gid, _ = self._account("group", group)
        return uid, gid

    def group_of(self, uid: int) -> int:
        """The gid that goes with a uid by the image's /etc/passwd, else 0."""
        return self._account("passwd", str(uid))[1]

    def _account(self, file: str, wanted: str) -> tuple[int, int]:
        path = self.root / "etc" / file
        for line in path.read_text().splitlines() if path.exists() else []:
            fields = line.split(":")
            if len(fields) > 3 and wanted in (fields[0], fields[2]):
                return int(fields[2]), int(fields[3] or 0) if file == "passwd" else 0
        if not wanted.isdigit():
            what = "user" if file == "passwd" else file
            raise BadUser(f"unable to find {what} {wanted}: no matching entries in {file} file")
        return int(wanted), 0


def name_of(reference: str) -> str:
    """`registry.example/purelb/allocator:v1@sha256:0` is `allocator`."""
    return reference.partition("@")[0].rpartition("/")[2].partition(":")[0]


def load(folder: Path, reference: str) -> Image:
    """The image of that reference. Raises MissingImage."""
    place = folder / name_of(reference)
    try:
        config = json.loads((place / CONFIG).read_text())
        environment = dict(entry.split("=", 1) for entry in config.get("Env") or ())
    except (OSError, ValueError) as failure:
        raise MissingImage(f'Container image "{reference}" is not present in {folder}: {failure}') from None
    if not (place / ROOTFS).is_dir():
        raise MissingImage(f'Container image "{reference}" has no {ROOTFS} in {place}')
    return Image(
        root=place / ROOTFS,
        environment=environment,
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        user=config.get("User") or "",
        folder=config.get("WorkingDir") or "/",
    )
