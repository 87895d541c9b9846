"""What is asked of the rows of either program. Each has a module of its own, so that both are played side by side.

A module that imports these tests names its program: ``PROGRAM``, a World.
"""

from __future__ import annotations

from tests.faults.playing import Played
from tests.faults.world import LAW


def test_after_a_fault_the_world_is_as_if_it_had_not_been(row: str, played: Played) -> None:
    verdict = played.verdicts[row]

    assert verdict.missing == []
    assert verdict.seconds < LAW


def test_no_fault_leaves_a_traceback_or_a_task(played: Played) -> None:
    assert played.verdicts, "rows were played"
    assert played.complaints == []
