"""Where a release is put, and what it may take the place of."""

from __future__ import annotations

from pathlib import Path

import pytest

from release.__main__ import check_replaceable
from release.products import SUMS
from release.programs import ReleaseFailed


def test_a_release_takes_the_place_of_one_or_of_nothing(tmp_path: Path) -> None:
    check_replaceable(tmp_path)
    check_replaceable(tmp_path / "new")
    (tmp_path / SUMS).touch()
    (tmp_path / "purelb.tar.gz").touch()

    check_replaceable(tmp_path)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """As --out with somebody's home would be."""
    (tmp_path / "thesis").mkdir()

    for there in (tmp_path, Path(__file__)):
        with pytest.raises(ReleaseFailed, match="is no release"):
            check_replaceable(there)
