"""Laws of the data plane, over a thousand random histories of clusters. ``make soak`` plays a hundred times as many."""

from __future__ import annotations

import pytest

from tests.lbnodeagent.stage.histories import History, fails, history, planned_history, shortened

CHUNK = 50
HISTORIES = 800
PLANNED = 200


def explained(told: History) -> str:
    """The shortest history that fails, and how."""
    short = shortened(told)
    return "\n".join((str(short), *fails(short)))


@pytest.mark.parametrize("first", range(0, HISTORIES, CHUNK))
def test_every_order_of_faults_ends_with_each_vip_on_one_node_and_nothing_of_others_touched(first: int) -> None:
    for seed in range(first, first + CHUNK):
        told = history(seed)
        assert not fails(told), explained(told)


@pytest.mark.parametrize("first", range(0, PLANNED, CHUNK))
def test_a_planned_move_never_has_a_moment_with_nobody(first: int) -> None:
    for seed in range(first, first + CHUNK):
        told = planned_history(seed)
        assert not fails(told), explained(told)
