"""What was done while everything was being read is newer than what was read."""

from __future__ import annotations

from lbnodeagent.errors import KernelError
from lbnodeagent.kernel.meanwhile import Meanwhile
from lbnodeagent.tables import Place, Remove, Spot
from purelb.nodeagents import LOCAL_ADDRESSING
from tests.lbnodeagent.scenes import ETH0, VIP, own, placed

OWN = own(ETH0, "10.31.188.11/16")
THERE = placed(ETH0, "10.31.188.64/16")
PLACE = Place(VIP, Spot(ETH0, "eth0", 16, True, LOCAL_ADDRESSING))
REMOVE = Remove(VIP, ETH0, "eth0", 16)


def test_an_address_that_was_added_meanwhile_is_there() -> None:
    meanwhile = Meanwhile()
    meanwhile.note([PLACE], [THERE])

    assert meanwhile.over([OWN]) == (OWN, THERE)


def test_one_that_was_removed_meanwhile_is_not() -> None:
    meanwhile = Meanwhile()
    meanwhile.note([PLACE, REMOVE], [THERE, None])

    assert meanwhile.over([OWN, THERE]) == (OWN,)


def test_what_was_refused_changes_nothing() -> None:
    meanwhile = Meanwhile()
    meanwhile.note([REMOVE], [KernelError("removing", 12)])

    assert meanwhile.over([OWN, THERE]) == (OWN, THERE)
