"""What follows from what hosts say on the wire, where it isn't played on the stage."""

from __future__ import annotations

from lbnodeagent.dataplane.claims import Heard
from lbnodeagent.dataplane.state import State
from lbnodeagent.tables import Mac
from purelb.version import Version
from tests.lbnodeagent.scenes import ETH0, VIP, link, placed

ANOTHER_MAC = Mac(bytes.fromhex("020000000001"))


def node() -> State:
    """An earlier run left VIP on its NIC, and it hears no peers yet."""
    state = State("own", Version())
    state.present.set_link(link(ETH0, "eth0"))
    state.present.set_address(placed(ETH0, "10.31.188.64/16"))
    return state


def test_before_peers_can_be_heard_a_claim_of_what_an_earlier_run_left_is_only_noted() -> None:
    state = node()

    assert state.claims.heard(ETH0, VIP, ANOTHER_MAC, 1.0) == Heard(is_to_be_looked_at=True)
    assert state.neighbours.is_claimed(VIP)


def test_what_the_node_says_itself_and_what_is_not_here_is_of_no_interest() -> None:
    state = node()
    (own,) = (one.mac for one in state.present.links.values())
    assert own is not None

    assert state.claims.heard(ETH0, VIP, own, 1.0) is None
    assert state.claims.heard(ETH0, VIP + 1, ANOTHER_MAC, 1.0) is None
