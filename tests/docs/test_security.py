"""docs/security.md claims nothing without a test."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PLACES = ("tests", "memberlist/tests", "kubedouble/tests", "kubectl_purelb/tests")
NAMED = re.compile(r"`(test_\w+)`")


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(NAMED.findall((REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8")))
    files = [file for tests in PLACES for file in REPOSITORY.glob(f"{tests}/**/test_*.py")]
    there = {name for file in files for name in re.findall(r"def (test_\w+)\(", file.read_text(encoding="utf-8"))}

    assert len(named) > 20
    assert named <= there


def test_every_row_of_its_tables_names_one() -> None:
    lines = (REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith(("| can't", "| ---"))]

    assert [row for row in rows if not NAMED.search(row)] == []
