"""Whatever the API server does wrong, to whatever verb of the agent: soon after, it is as if it had not been."""

from __future__ import annotations

import pytest

from tests.faults.agents import AgentWorld
from tests.faults.playing import Played, names_of
from tests.faults.world import LAW

PROGRAM = AgentWorld
pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("row", names_of(PROGRAM))
def test_after_a_fault_the_world_is_as_if_it_had_not_been(row: str, played: Played) -> None:
    verdict = played.verdicts[row]

    assert verdict.missing == []
    assert verdict.seconds < LAW


def test_no_fault_leaves_a_traceback_or_a_task(played: Played) -> None:
    assert played.complaints == []
