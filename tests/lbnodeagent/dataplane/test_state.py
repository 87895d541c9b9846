"""Which VIPs' connections a router may throw about, as a node sees them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from lbnodeagent.dataplane.state import State
from lbnodeagent.flows.tables import FlowsOutput, Routed
from lbnodeagent.gossip.meta import Meta, encode_meta
from lbnodeagent.tables import WantedVip
from purelb.nodeagents import NodeAgentConfig
from purelb.version import Version
from tests.lbnodeagent.scenes import ETH0, HOST, IPVS, NOW, ROUTED, VIP, link, own, wanted


def standing(*vips: WantedVip) -> State:
    """A node on 10.31.0.0/16, whose kernel can keep flows."""
    state = State("w11", Version())
    state.flows.is_on = True
    state.present.set_link(link(ETH0, "eth0"))
    state.present.set_address(own(ETH0, "10.31.188.11/16"))
    state.subnets.look(NodeAgentConfig(), frozenset(), NOW)
    for vip in vips:
        state.wanted.change(vip.address, vip)
    return state


def watched(state: State) -> list[FlowsOutput]:
    state.look_at_flows([VIP, ROUTED], NOW)
    return [output for output in state.flows.take() if isinstance(output, Routed)]


def test_a_vip_on_no_subnet_is_watched_one_on_a_nic_isnt() -> None:
    state = standing(wanted(VIP), wanted(ROUTED))

    assert watched(state) == [Routed((ROUTED,), True)]
    state.wanted.change(ROUTED, None)
    assert watched(state) == [Routed((ROUTED,), False)]


@pytest.mark.parametrize("why", ["local pools", "another node's subnet", "IPVS"])
def test_of_some_there_is_nothing_to_watch(why: str) -> None:
    state = standing(replace(wanted(ROUTED), onlink_only=why == "local pools"))
    if why == "another node's subnet":
        meta = Meta(True, reach=frozenset({ip_network("10.189.0.0/16")}))
        state.members.joined("w12", encode_meta(meta), HOST, NOW)
    if why == "IPVS":
        state.present.set_link(link(IPVS, "kube-ipvs0"))

    assert watched(state) == []
