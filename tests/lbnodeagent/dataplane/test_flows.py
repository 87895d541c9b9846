"""By which interface flows are passed on, where a VIP's NIC lies above others."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest

from lbnodeagent.dataplane.implications import Implications
from lbnodeagent.dataplane.state import State
from lbnodeagent.flows.tables import Keep
from lbnodeagent.gossip.envelope import Life
from lbnodeagent.gossip.flowsmessage import FlowsMessage
from lbnodeagent.gossip.meta import Meta, encode_meta
from lbnodeagent.tables import IfIndex
from purelb.nodeagents import NodeAgentConfig
from purelb.version import Version
from tests.lbnodeagent.flows.scenes import flow
from tests.lbnodeagent.scenes import ETH0, ETH1, NOW, link, own, wanted

BOND, VLAN, BRIDGE = IfIndex(11), IfIndex(12), IfIndex(13)
"""bond0 of eth0 and eth1, bond0.100 on that, and br0 with a cable of its own."""
ADDRESSES = {BOND: "10.31.188.1/16", VLAN: "192.168.100.1/24", BRIDGE: "172.16.0.1/24"}


def node() -> State:
    """Beside w11, which is on the same subnets."""
    state = State("own", Version())
    names = {ETH0: "eth0", ETH1: "eth1", BOND: "bond0", VLAN: "bond0.100", BRIDGE: "br0"}
    for index, name in names.items():
        state.present.set_link(link(index, name))
    for index, text in ADDRESSES.items():
        state.present.set_address(own(index, text))
    state.config, state.is_configured = NodeAgentConfig(local_interface="bond0$", interfaces=("bond0.100", "br0")), True
    state.flows.is_on = state.candidacy.is_synced = True
    addresses = frozenset({IPv4Address("10.31.188.11"), IPv4Address("192.168.100.11"), IPv4Address("172.16.0.11")})
    meta = Meta(True, life=Life(b"life-1"), addresses=addresses, keeps_flows=True, version=Version(0, 1, 0))
    implied = Implications(state)
    implied.surroundings_changed(NOW)
    implied.owners_changed(state.candidacy.gossip_started(NOW), NOW)
    implied.peer_alive("w11", encode_meta(meta), ip_address("10.31.188.11"), NOW)
    return state


@pytest.mark.parametrize(
    ("vip", "server", "index"),
    [
        ("10.31.188.64", "10.31.188.11", BOND),
        ("192.168.100.64", "192.168.100.11", VLAN),
        ("172.16.0.64", "172.16.0.11", BRIDGE),
    ],
    ids=["a bond", "a VLAN on it", "a bridge"],
)
def test_flows_go_by_the_interface_that_is_on_their_vips_subnet(vip: str, server: str, index: IfIndex) -> None:
    state, its = node(), ip_address(vip)
    Implications(state).vip_changed(its, wanted(its), NOW)
    state.look_at_flows([its], NOW)
    state.flows.take()

    state.flows.received(FlowsMessage("w11", its, ip_address(server), (flow(1),), is_first=True, is_last=True), NOW)

    (keep,) = (output for output in state.flows.take() if isinstance(output, Keep))
    assert (keep.vip, keep.index, [one.address for one in keep.servers]) == (its, index, [ip_address(server)])
