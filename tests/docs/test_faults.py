"""docs/lab.md has every fault of the lab in its table, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from lab.settings import API_FAULTS, CLUSTER_FAULTS, FAULTS, WIRE_FAULTS

ROWS = [
    line.split("|")[1]
    for line in (Path(__file__).parents[2] / "docs" / "lab.md").read_text().splitlines()
    if re.match(r"\| `(NODE|wire|cluster|api) ", line)
]


def told(target: str) -> set[str]:
    """The kinds that the table has of a target, but for codes."""
    return {kind for row in ROWS for kind in re.findall(rf"`{target} ([a-z][a-z-]*)", row)}


def test_the_table_has_every_fault() -> None:
    assert told("NODE") == set(FAULTS)
    assert told("wire") == set(WIRE_FAULTS)
    assert told("cluster") == set(CLUSTER_FAULTS)
    assert told("api") == set(API_FAULTS)
