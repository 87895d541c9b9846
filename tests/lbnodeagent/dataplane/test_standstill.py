"""An agent notices that it stood still, once, and that it is only busy it doesn't take for that."""

from __future__ import annotations

from lbnodeagent.dataplane.standstill import LONGEST, Standstill
from tests.lbnodeagent.scenes import NOW


def test_a_loop_that_runs_when_it_should_or_a_little_later_never_stood_still() -> None:
    standstill = Standstill()
    assert not standstill.has_been(NOW)

    standstill.expect(NOW + 0.5)

    assert not standstill.has_been(NOW + 0.1)
    assert not standstill.has_been(NOW + 0.5 + LONGEST / 2)


def test_one_that_runs_far_too_late_did_and_hears_so_once() -> None:
    standstill = Standstill()
    standstill.expect(NOW)

    assert standstill.has_been(NOW + 60)
    assert not standstill.has_been(NOW + 60)

    standstill.expect(NOW + 60.5)
    assert not standstill.has_been(NOW + 60.5)
    assert standstill.has_been(NOW + 65)
