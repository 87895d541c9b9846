"""What a release consists of, made of the repository's files.

Owns how each comes out alike: times are those of the version's day, and the programs that make it are pinned with
hashes in requirements/release.txt.
"""

from __future__ import annotations

import datetime
import hashlib
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import helm_python

from release.archives import normalize
from release.programs import run
from release.versions import notes_of

DISTRIBUTIONS: Final = (".", "memberlist", "kubedouble", "lab", "kubectl_purelb")
IMAGES: Final = ("allocator", "lbnodeagent")
KREW: Final = ("kubectl-purelb.tar.gz", "purelb.yaml")
"""The plugin for krew; its manifest's URL is to be written where the archive is published."""
SUMS: Final = "SHA256SUMS"
APPLIED: Final = ("purelb-complete.yaml", "purelb-complete-legacy.yaml")


def make(copy: Path, out: Path, version: str) -> Iterator[str]:
    """Everything that the release consists of, from the copy; says what it does. Raises VersionError, ReleaseFailed."""
    day, notes = notes_of((copy / "CHANGELOG.md").read_text(), version)
    epoch = int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())
    environment = {"SOURCE_DATE_EPOCH": str(epoch), "PYTHONHASHSEED": "0"}
    tools = out.parent / "tools"
    run([sys.executable, "-m", "venv", tools], copy)
    install: list[str | Path] = [tools / "bin/pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*install, "--require-hashes", "-r", "requirements/release.txt"], copy)
    for folder in DISTRIBUTIONS:
        yield f"sdist and wheel of {folder if folder != '.' else 'purelb'}"
        run([tools / "bin/python", "-m", "build", "--no-isolation", "--outdir", out, copy / folder], copy, environment)
    yield "the chart, what is applied without it, and what the images consist of"
    helm_python.package(copy / "charts" / "purelb", destination=out)
    for archive in out.glob("*gz"):
        normalize(archive, epoch)
    for name in APPLIED:
        shutil.copyfile(copy / "manifests" / name, out / name)
    plugin = out.parent / "plugin"
    run([sys.executable, "-m", "manifests.krew", plugin, "--wheels", out], copy)
    for name in KREW:
        shutil.copyfile(plugin / name, out / name)
    for image in IMAGES:
        bill(copy, tools, image, out / f"purelb-{image}.cdx.json", environment)
    (out / "release-notes.md").write_text(notes)
    sums = "".join(f"{digest(file)}  {file.name}\n" for file in sorted(out.iterdir()))
    (out / SUMS).write_text(sums)


def bill(copy: Path, tools: Path, image: str, target: Path, environment: Mapping[str, str]) -> None:
    """A CycloneDX bill of what pip puts into an image; what the image is built with only isn't in it."""
    locked = (copy / "requirements" / f"{image}.txt").read_text()
    entries = [entry for entry in locked.replace("\\\n", " ").splitlines() if not entry.startswith("setuptools==")]
    command: list[str | Path] = [tools / "bin/cyclonedx-py", "requirements", "-", "--output-reproducible"]
    command += ["--pyproject", "pyproject.toml", "--output-file", target]
    run(command, copy, environment, given="\n".join(entries))


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
