"""What was refused is told once."""

from __future__ import annotations

from lbnodeagent.dataplane.invariants import Refusal
from lbnodeagent.dataplane.refusals import Refusals
from tests.lbnodeagent.scenes import ROUTED, VIP

REFUSAL = Refusal(VIP, "eth0", "forbidden-address", "it is node m's address")


def test_a_refusal_is_told_once_for_as_long_as_it_lasts() -> None:
    refusals = Refusals()
    for _ in range(3):
        refusals.note([VIP, ROUTED], [REFUSAL])

    assert refusals.take() == [REFUSAL]
    assert refusals.take() == []


def test_it_is_told_again_when_it_had_ended() -> None:
    refusals = Refusals()
    refusals.note([VIP], [REFUSAL])
    refusals.note([ROUTED], [])
    refusals.note([VIP], [])
    refusals.note([VIP], [REFUSAL])

    assert refusals.take() == [REFUSAL, REFUSAL]
