"""One version everywhere, and how it is moved."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest

from release.source import is_ours, tracked
from release.versions import PLACES, VersionError, changelog_for, check_shape, moved, notes_of, version_of

ROOT = Path(__file__).parents[2]
APPLIED_OR_READ = ("", ".md", ".gotmpl", ".toml", ".yaml", ".yml", ".tpl", ".agent", ".allocator")
TODAY = datetime.date(2026, 12, 1)
LOG = """# Changelog

## [Unreleased]

Not published.

### Added

- A.

## [0.1.0] - 2026-01-02

### Added

- B.
"""


def texts() -> dict[str, str]:
    return {place: (ROOT / place).read_text() for place in PLACES}


def test_all_files_of_this_repository_say_one_version() -> None:
    check_shape(version_of(texts()))


@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_says_another_one_is_named(place: str) -> None:
    known = texts()
    known[place] = known[place].replace(version_of(known), "9.9.9")

    with pytest.raises(VersionError, match=rf"{re.escape(place)}: (\S+, )?9\.9\.9"):
        version_of(known)


def test_after_the_move_nothing_says_the_version_before() -> None:
    """Also not in a document's commands; what mentions a version of something else isn't touched."""
    old = version_of(texts())

    for name in (one for one in tracked(ROOT) if is_ours(one) and Path(one).suffix in APPLIED_OR_READ):
        text = (ROOT / name).read_bytes().decode(errors="ignore")
        after = moved(text, old, "7.8.9rc1")
        assert not re.search(rf"(?<![\w.]){re.escape(old)}(?![\w./])", after), f"{name}: {old} is not in the move"
    assert moved("foo>=0.1.0 10.1.0.0/24 tag: 0.1.0", "0.1.0", "0.2.0") == "foo>=0.1.0 10.1.0.0/24 tag: 0.2.0"
    assert moved(moved("purelb-allocator:0.1.0", "0.1.0", "0.2.0"), "0.2.0", "0.1.0") == "purelb-allocator:0.1.0"


@pytest.mark.parametrize("version", ["v0.2.0", "0.2", "0.2.0-dirty", "1.2.3.4", ""])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(VersionError, match="is no version"):
        check_shape(version)


def test_a_release_is_a_section_of_the_change_log() -> None:
    log = changelog_for(LOG, "0.2.0", TODAY)

    assert "## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- A.\n\n## [0.1.0]" in log
    assert notes_of(log, "0.2.0") == (TODAY, "### Added\n\n- A.\n")
    assert notes_of(log, "0.1.0") == (datetime.date(2026, 1, 2), "### Added\n\n- B.\n")


def test_made_again_on_another_day_it_keeps_its_date() -> None:
    log = changelog_for(LOG, "0.2.0", TODAY)

    assert changelog_for(log, "0.2.0", TODAY + datetime.timedelta(days=9)) == log


def test_there_is_no_release_without_a_change() -> None:
    log = changelog_for(LOG, "0.2.0", TODAY)

    with pytest.raises(VersionError, match="says of no change"):
        changelog_for(log, "0.3.0", TODAY)
    with pytest.raises(VersionError, match=r"no section \[0\.3\.0\] with a date"):
        notes_of(log, "0.3.0")
