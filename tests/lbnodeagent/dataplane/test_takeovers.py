"""How long what this node won took until it answered from here."""

from __future__ import annotations

from lbnodeagent.dataplane.takeovers import RECENT, Takeover, Takeovers
from tests.lbnodeagent.scenes import NOW, ROUTED, VIP


def test_it_ends_when_the_address_is_here() -> None:
    takeovers = Takeovers()
    takeovers.won([VIP], "died", NOW)

    takeovers.look(VIP, NOW + 0.1, is_ours=True, is_here=False)
    nothing = takeovers.take()
    takeovers.look(VIP, NOW + 0.25, is_ours=True, is_here=True)

    assert nothing == []
    assert takeovers.take() == [Takeover("died", 0.25)]
    assert takeovers.take() == []
    assert not takeovers


def test_what_goes_to_another_node_meanwhile_is_forgotten() -> None:
    takeovers = Takeovers()
    takeovers.won([VIP], "elected", NOW)

    takeovers.look(VIP, NOW + 1, is_ours=False, is_here=False)

    assert takeovers.take() == []
    assert not takeovers


def test_what_was_won_once_counts_from_then_on() -> None:
    takeovers = Takeovers()
    takeovers.won([VIP], "died", NOW)
    takeovers.won([VIP], "elected", NOW + 1)

    takeovers.look(VIP, NOW + 2, is_ours=True, is_here=True)
    takeovers.look(ROUTED, NOW + 2, is_ours=True, is_here=True)

    assert takeovers.take() == [Takeover("died", 2.0)]


def test_what_the_wire_is_asked_for_goes_back_to_the_death_before_it() -> None:
    takeovers = Takeovers()

    assert takeovers.asked(NOW) == NOW
    takeovers.peer_died(NOW)
    assert takeovers.asked(NOW + 0.1) == NOW
    assert takeovers.asked(NOW + RECENT + 1) == NOW + RECENT + 1
