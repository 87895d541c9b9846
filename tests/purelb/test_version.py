"""A version is three small numbers."""

from __future__ import annotations

import pytest

from purelb.version import Version, parse_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("0.1.0", Version(0, 1, 0)),
        ("1.2", Version(1, 2, 0)),
        ("1.2.3rc4", Version(1, 2, 3)),
        ("2026.1.1", Version(255, 1, 1)),
        ("unknown", Version()),
    ],
)
def test_a_version_is_read_as_far_as_it_is_one(text: str, version: Version) -> None:
    assert parse_version(text) == version


def test_a_version_is_written_with_points() -> None:
    assert str(Version(1, 2, 3)) == "1.2.3"
