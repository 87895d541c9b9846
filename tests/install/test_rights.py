"""Each right that the manifests give is needed: without any one of them, a user sees something go wrong.

The scenes need every right once. A scene without a right must ask for it, be refused, and leave out what depends on it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import TypeAlias

import pytest

from tests.install.play import Outcome
from tests.install.rights import Cell, cells

PROGRAMS = ("allocator", "lbnodeagent")
CELLS = [(program, cell) for program in PROGRAMS for cell in cells(program)]
TOLD_ONLY = {
    "allocator Role: watch memberships",
    *(f"allocator ClusterRole: watch {kind}" for kind in ("nodes", "servicecidrs", "endpointslices", "lbnodeagents")),
}
"""Lists that are read again and again stand in for a watch that is refused, so that addresses and nodes are known some
seconds later. What the user sees of it is the word of the missing right after 20 seconds (tests/purelb/test_rights)."""
Playing: TypeAlias = "dict[str, subprocess.Popen[str]]"
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def playing() -> Iterator[Playing]:
    """Both programs' scenes, side by side."""
    command = [sys.executable, "-m", "tests.install.play"]
    started: Playing = {
        program: subprocess.Popen([*command, program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for program in PROGRAMS
    }
    yield started
    for process in started.values():
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def outcomes(playing: Playing) -> dict[tuple[str, Cell | None], Outcome]:
    """What came of each scene; None is the one that lacks nothing."""
    found: dict[tuple[str, Cell | None], Outcome] = {}
    for program, process in playing.items():
        lines = process.communicate(timeout=200)[0].splitlines()
        for cell, line in zip((None, *cells(program)), lines, strict=True):
            found[program, cell] = Outcome(*map(frozenset, json.loads(line)))
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_needs_all_that_it_may_do(outcomes: dict[tuple[str, Cell | None], Outcome], program: str) -> None:
    full = outcomes[program, None]

    assert full.refused == frozenset(), "the manifests lack a right"
    assert full.granted == {cell.request for cell in cells(program)}


@pytest.mark.parametrize(("program", "cell"), CELLS, ids=[f"{program} {cell}" for program, cell in CELLS])
def test_a_program_without_one_right_is_seen_to_fail(
    outcomes: dict[tuple[str, Cell | None], Outcome], program: str, cell: Cell
) -> None:
    full, without = outcomes[program, None], outcomes[program, cell]

    assert cell.request in without.refused
    assert full.seen - without.seen or f"{program} {cell}" in TOLD_ONLY, "nothing goes wrong without it"
