"""Where the version stands in this repository, and how it is moved to another one. Texts in, texts out."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Final

PLACES: Final[Mapping[str, str]] = {
    "pyproject.toml": r'^version = "(.*)"$',
    "memberlist/pyproject.toml": r'^version = "(.*)"$',
    "kubedouble/pyproject.toml": r'^version = "(.*)"$',
    "lab/pyproject.toml": r'^version = "(.*)"$',
    "kubectl_purelb/pyproject.toml": r'^version = "(.*)"$',
    "purelb/__init__.py": r'^__version__ = "(.*)"$',
    "charts/purelb/Chart.yaml": r'^(?:version|appVersion): "?([^"\n]*)"?$',
    "Dockerfile.allocator": r"^ARG VERSION=(.*)$",
    "Dockerfile.agent": r"^ARG VERSION=(.*)$",
    "manifests/labels/kustomization.yaml": r"app\.kubernetes\.io/version: (.*)$",
    "manifests/base/allocator.yaml": r"image: purelb-allocator:(.*)$",
    "manifests/base/lbnodeagent.yaml": r"image: purelb-lbnodeagent:(.*)$",
    "manifests/purelb-complete.yaml": r"image: purelb-(?:allocator|lbnodeagent):(.*)$",
    "manifests/purelb-complete-legacy.yaml": r"image: purelb-(?:allocator|lbnodeagent):(.*)$",
}
"""File: what its version stands in, once or more often. All say the same one."""

_SHAPE: Final = re.compile(r"\d+\.\d+\.\d+(?:-?(?:a|b|rc)\d+)?")
_BEFORE: Final = (
    r'^version = "', r'^__version__ = "', r"^version: ", r'^appVersion: "', r"purelb-(?:allocator|lbnodeagent):",
    r"^ARG VERSION=", r"app\.kubernetes\.io/version: ", r"newTag: ", r"\btag: ", r"\$name:",
)  # fmt: skip
"""After what a version is ours, in code, manifests and documents."""
_UNRELEASED: Final = "## [Unreleased]\n"
_SECTION: Final = re.compile(r"^## \[([^]]+)\](?: - (\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)


class VersionError(Exception):
    """The version isn't one, or the repository doesn't agree with itself; one sentence."""


def check_shape(version: str) -> None:
    """Raises VersionError for what is no version of ours: three numbers, or a candidate of them such as 0.2.0rc1."""
    if not _SHAPE.fullmatch(version):
        raise VersionError(f'"{version}" is no version: it has three numbers, as 0.2.0, or rc1 after them')


def version_of(texts: Mapping[str, str]) -> str:
    """The one version that all of PLACES say. Raises VersionError when they differ."""
    found = {place: set(re.findall(pattern, texts[place], re.MULTILINE)) for place, pattern in PLACES.items()}
    versions: set[str] = {version for there in found.values() for version in there}
    if len(versions) != 1 or not all(found.values()):
        said = "; ".join(f"{place}: {', '.join(sorted(there)) or 'none'}" for place, there in found.items())
        raise VersionError(f"the files don't agree on one version: {said}")
    return versions.pop()


def moved(text: str, old: str, new: str) -> str:
    """A file's text with the new version in place of the old one, wherever that is ours."""
    return re.sub(rf"({'|'.join(_BEFORE)}){re.escape(old)}(?![\w.])", rf"\g<1>{new}", text, flags=re.MULTILINE)


def changelog_for(text: str, version: str, today: datetime.date) -> str:
    """The change log with what is unreleased as a section of this version; as it is where there is one already.

    What stands between the heading and the first kind of change speaks of the state before a release, and goes.
    """
    if any(found[1] == version for found in _SECTION.finditer(text)):
        return text
    head, found, rest = text.partition(_UNRELEASED)
    if not found:
        raise VersionError("CHANGELOG.md has no section [Unreleased] to make a release of")
    changes = re.search(r"^### ", rest, re.MULTILINE)
    following = _SECTION.search(rest)
    if changes is None or (following and following.start() < changes.start()):
        raise VersionError("CHANGELOG.md says of no change under [Unreleased]")
    return f"{head}{_UNRELEASED}\n## [{version}] - {today.isoformat()}\n\n{rest[changes.start() :]}"


def notes_of(text: str, version: str) -> tuple[datetime.date, str]:
    """The day of a version, and what the change log says of it. Raises VersionError when it says nothing."""
    sections = list(_SECTION.finditer(text))
    for found, following in zip(sections, [*sections[1:], None], strict=True):
        if found[1] == version and found[2]:
            end = following.start() if following else len(text)
            return datetime.date.fromisoformat(found[2]), text[found.end() : end].strip() + "\n"
    raise VersionError(f"CHANGELOG.md has no section [{version}] with a date")
