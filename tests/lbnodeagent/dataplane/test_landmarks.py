"""Whose an address is."""

from __future__ import annotations

from ipaddress import ip_address

from lbnodeagent.dataplane.landmarks import Landmarks
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.meta import Meta, encode_meta
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import DefaultRoute
from purelb.addresses import Family, IPAddress
from tests.lbnodeagent.scenes import ETH0, HOST, VIP, VIP6, node, placed

ROUTER = ip_address("10.31.254.251")
SECOND = ip_address("192.168.50.12")


def landmarks(present: Present) -> tuple[Landmarks, Members]:
    members = Members("w11")
    return Landmarks(present, members), members


def whose(of: Landmarks, vip: IPAddress) -> str | None:
    return of.whose(vip, "kube-lb0")


def test_a_node_has_the_address_from_where_it_gossips_also_one_with_purelbs_own_agent() -> None:
    ours, members = landmarks(node())
    members.joined("w12", b"", HOST)

    assert whose(ours, HOST) == "node w12's address"
    assert whose(ours, VIP) is None


def test_a_node_has_the_addresses_that_it_says() -> None:
    ours, members = landmarks(node())
    members.joined("w12", encode_meta(Meta(True, addresses=frozenset({SECOND}))), HOST)

    assert whose(ours, SECOND) == "node w12's address"


def test_a_router_is_nobodys_vip() -> None:
    present = node()
    present.set_routes([DefaultRoute(Family.IPV4, 0, (ETH0,), (ROUTER,))])

    assert whose(landmarks(present)[0], ROUTER) == "the gateway of this node's default route"


def test_a_vip_that_kubelet_took_for_the_nodes_address_stays_a_vip() -> None:
    ours, _ = landmarks(node(placed(ETH0, f"{VIP6}/64")))
    ours.node_has(frozenset({VIP6, ip_address("fd00:10:31::188:11")}))

    assert VIP6 not in ours.own("kube-lb0")
    assert ip_address("fd00:10:31::188:11") in ours.own("kube-lb0")
    assert whose(ours, VIP6) is None
