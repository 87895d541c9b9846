"""The library can be installed alone."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def project(folder: Path) -> dict[str, Any]:
    described: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return described


def test_alone_it_asks_for_what_it_is_tested_with() -> None:
    alone, whole = project(ROOT / "memberlist"), project(ROOT)

    needed = alone["dependencies"] + alone["optional-dependencies"]["encryption"]

    assert len(needed) == 2
    assert set(needed) <= set(whole["optional-dependencies"]["agent"])
    assert alone["requires-python"] == whole["requires-python"]
    assert alone["version"] == whole["version"]
