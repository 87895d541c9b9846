"""Whose an address is."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from lbnodeagent.dataplane.landmarks import Landmarks
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.meta import Meta, encode_meta
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import DefaultRoute
from purelb.addresses import Family, IPAddress
from tests.lbnodeagent.scenes import ETH0, HOST, IPVS, LO, NOW, VIP, VIP6, link, node, own, placed

ROUTER = ip_address("10.31.254.251")
SECOND = ip_address("192.168.50.12")
OWN6 = ip_address("fd00:10:31::188:11")


def landmarks(present: Present) -> tuple[Landmarks, Members]:
    members = Members("w11")
    return Landmarks(present, members), members


def whose(of: Landmarks, vip: IPAddress) -> str | None:
    return of.whose(vip, "kube-lb0")


def test_a_node_has_the_address_from_where_it_gossips_also_one_with_purelbs_own_agent() -> None:
    ours, members = landmarks(node())
    members.joined("w12", b"", HOST, NOW)

    assert whose(ours, HOST) == "node w12's address"
    assert whose(ours, VIP) is None


def test_a_node_has_the_addresses_that_it_says() -> None:
    ours, members = landmarks(node())
    members.joined("w12", encode_meta(Meta(True, addresses=frozenset({SECOND}))), HOST, NOW)

    assert whose(ours, SECOND) == "node w12's address"


def test_a_router_is_nobodys_vip() -> None:
    present = node()
    present.set_routes([DefaultRoute(Family.IPV4, 0, (ETH0,), (ROUTER,))])

    assert whose(landmarks(present)[0], ROUTER) == "the gateway of this node's default route"


def test_a_vip_that_kubelet_took_for_the_nodes_address_stays_a_vip() -> None:
    present = node(placed(ETH0, f"{VIP6}/64"))
    ours, _ = landmarks(present)
    ours.node_has(frozenset({VIP6, OWN6}), frozenset())

    assert VIP6 not in ours.own("kube-lb0")
    assert OWN6 in ours.own("kube-lb0")
    assert whose(ours, VIP6) is None

    present.drop_address(ETH0, VIP6, 64)  # it moves to another node, and kubelet has not looked again
    assert VIP6 not in ours.own("kube-lb0")
    assert whose(ours, VIP6) is None


def test_so_does_one_that_the_node_says_it_has_outside_and_that_was_here() -> None:
    present = node(placed(ETH0, f"{VIP6}/64"))
    ours, _ = landmarks(present)
    ours.node_has(frozenset(), frozenset({VIP6}))
    assert whose(ours, VIP6) is None

    present.drop_address(ETH0, VIP6, 64)
    assert whose(ours, VIP6) is None

    ours.node_has(frozenset(), frozenset())  # the Node object says so no longer, and then again
    ours.node_has(frozenset(), frozenset({VIP6}))
    assert whose(ours, VIP6) == "this node's address"


def test_an_agent_that_starts_after_the_move_does_not_take_it_for_the_nodes_either() -> None:
    ours, _ = landmarks(node(own(IPVS, f"{VIP6}/128"), links=[replace(link(IPVS, "kube-ipvs0"), has_neighbours=False)]))
    ours.node_has(frozenset({VIP6}), frozenset())

    assert VIP6 not in ours.own("kube-lb0")
    assert whose(ours, VIP6) is None


def test_the_nodes_address_on_its_loopback_interface_is_its_own() -> None:
    ours, _ = landmarks(node(own(LO, f"{VIP6}/128")))
    ours.node_has(frozenset({VIP6}), frozenset())

    assert VIP6 in ours.own("kube-lb0")
    assert whose(ours, VIP6) == "this node's address"


def test_an_address_outside_of_the_node_is_its_own_by_the_nodes_word() -> None:
    ours, _ = landmarks(node())
    ours.node_has(frozenset(), frozenset({SECOND}))

    assert SECOND in ours.own("kube-lb0")
    assert whose(ours, SECOND) == "this node's address"
