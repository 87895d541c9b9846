"""What a turn asks for and notes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from lbnodeagent.dataplane.state import State
from lbnodeagent.dataplane.turn import take_turn
from lbnodeagent.kernel.connected import Connected
from purelb.version import Version
from tests.lbnodeagent.scenes import DUMMY, ETH1, NOW, link, on_dummy

ROUTED = ip_address("192.168.50.7")


def test_a_route_that_a_rule_forbids_is_not_added_and_noted_for_no_address() -> None:
    """The VIP itself is refused by the same rule, and told of; the aggregate's first address is nobody's."""
    state = State("w11", Version())
    state.present.set_link(replace(link(DUMMY, "kube-lb0"), has_neighbours=False))
    state.present.set_address(on_dummy(f"{ROUTED}/24"))
    state.routes.note([ROUTED])
    state.connected.known = (Connected(ip_network("192.168.50.0/24"), ETH1, "eth1"),)
    state.candidacy.is_synced = True

    assert list(take_turn(state, NOW)) == []
    assert state.refusals.take() == []
