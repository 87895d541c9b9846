"""Somebody takes VIPs away: told when it is a habit, at a bounded rate."""

from __future__ import annotations

from lbnodeagent.kernel.removals import Removals
from tests.lbnodeagent.scenes import VIP


def test_three_removals_in_a_minute_are_a_habit_that_is_told_once_a_minute() -> None:
    removals = Removals()

    told = [removals.noticed(VIP, now) for now in (0.0, 10.0, 20.0, 30.0, 79.0, 80.0, 81.0)]

    # At 79 s, those of 20 and 30 s count still; the first report was at 20 s.
    assert told == [0, 0, 3, 0, 0, 4, 0]


def test_what_is_over_is_forgotten() -> None:
    removals = Removals()
    removals.noticed(VIP, 0.0)
    removals.noticed(VIP, 50.0)

    removals.forget_old(60.0)
    assert removals.noticed(VIP, 60.0) == 3

    removals.forget_old(121.0)
    assert removals.noticed(VIP, 122.0) == 0


def test_rare_removals_are_no_habit() -> None:
    removals = Removals()

    assert [removals.noticed(VIP, now) for now in (0.0, 61.0, 122.0, 183.0)] == [0, 0, 0, 0]
