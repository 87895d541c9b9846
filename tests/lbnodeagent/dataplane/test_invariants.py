"""What no agent does, whoever asks for it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbnodeagent.dataplane.invariants import Facts, refusal_of, shadowed_by
from lbnodeagent.kernel.connected import connected_subnets
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import AddRoute, CreateDummy, Place, Remove, Spot
from purelb.addresses import IPAddress
from purelb.nodeagents import DUMMY_ADDRESSING, LOCAL_ADDRESSING
from tests.lbnodeagent.scenes import DUMMY, ETH0, ETH1, ROUTED, VIP, VIP6, link, node, on_dummy, own, placed

MASTER = ip_address("10.31.188.1")
SECOND_NIC = link(ETH1, "eth1")


def on_nic(vip: IPAddress, prefix_length: int = 16) -> Place:
    return Place(vip, Spot(ETH0, "eth0", prefix_length, True, LOCAL_ADDRESSING))


def routed(vip: IPAddress, prefix_length: int = 32) -> Place:
    return Place(vip, Spot(DUMMY, "kube-lb0", prefix_length, False, DUMMY_ADDRESSING))


def facts(present: Present, *given: IPAddress, forbidden: dict[IPAddress, str] | None = None) -> Facts:
    ours = frozenset(there.key for there in present.all_ours())
    return Facts(forbidden or {}, frozenset(given), connected_subnets(present, "kube-lb0"), ours)


def rule(action: Place | Remove | AddRoute, scene: Facts) -> str | None:
    refusal = refusal_of(action, scene)
    return refusal.rule if refusal else None


def test_what_the_allocator_gave_is_placed() -> None:
    scene = facts(node(), VIP, VIP6, ROUTED)

    assert [refusal_of(one, scene) for one in (on_nic(VIP), on_nic(VIP6, 64), routed(ROUTED))] == [None, None, None]


def test_an_address_of_a_node_is_held_by_no_agent_and_the_sentence_says_whose_it_is() -> None:
    refusal = refusal_of(on_nic(MASTER), facts(node(), MASTER, forbidden={MASTER: "node m's address"}))

    assert refusal is not None
    assert refusal.rule == "forbidden-address"
    assert refusal.reason == "10.31.188.1 is node m's address: take it out of the pool"


def test_an_address_that_the_allocator_did_not_give_is_placed_nowhere() -> None:
    assert rule(on_nic(VIP), facts(node())) == "not-given"


def test_no_prefix_on_the_dummy_cuts_into_a_subnet_of_a_nic() -> None:
    scene = facts(
        node(own(ETH1, "192.168.50.11/24"), links=[SECOND_NIC]),
        *map(ip_address, ("192.168.50.7", "192.168.0.9", "192.168.51.9")),
    )

    assert rule(routed(ip_address("192.168.50.7"), 24), scene) == "shadows-subnet"  # the same
    assert rule(routed(ip_address("192.168.50.7"), 29), scene) == "shadows-subnet"  # lies in it
    assert rule(routed(ip_address("192.168.0.9"), 16), scene) == "shadows-subnet"  # contains it
    assert rule(routed(ip_address("192.168.51.9"), 24), scene) is None


def test_a_host_prefix_takes_nothing_but_the_vip_itself() -> None:
    wide = node(own(ETH1, "10.0.0.5/8"), own(ETH1, "fd00::5/16"), links=[SECOND_NIC])
    vip, vip6 = ip_address("10.200.0.7"), ip_address("fd00:200::7")

    assert rule(routed(vip), facts(wide, vip)) is None
    assert rule(routed(vip6, 128), facts(wide, vip6)) is None


def test_no_route_of_an_aggregate_does_either() -> None:
    scene = facts(node(own(ETH1, "192.168.50.11/24"), links=[SECOND_NIC]))

    assert rule(AddRoute(DUMMY, ip_network("192.168.0.0/16")), scene) == "shadows-subnet"
    assert rule(AddRoute(DUMMY, ip_network("10.189.0.0/24")), scene) is None


def test_the_refusal_says_which_nic_and_which_field() -> None:
    scene = facts(node(own(ETH1, "192.168.50.11/24"), links=[SECOND_NIC]), ip_address("192.168.50.7"))

    refusal = refusal_of(routed(ip_address("192.168.50.7"), 24), scene)

    assert refusal is not None
    assert "192.168.50.0/24, the subnet of eth1" in refusal.reason
    assert "localInterface" in refusal.reason


def test_what_is_on_the_dummy_already_and_link_local_subnets_shadow_nothing() -> None:
    present = node(on_dummy("10.189.0.0/24"), own(ETH0, "fe80::1/64"), own(ETH0, "10.9.9.9/32"))

    assert {str(one.network) for one in connected_subnets(present, "kube-lb0")} == {"10.31.0.0/16", "fd00:10:31::/64"}


def test_what_carries_no_mark_of_ours_is_not_removed() -> None:
    present = node(own(ETH0, "10.31.188.200/16"), placed(ETH0, f"{VIP}/16"))
    scene = facts(present, VIP)

    assert rule(Remove(VIP, ETH0, "eth0", 16), scene) is None
    assert rule(Remove(VIP, ETH0, "eth0", 24), scene) == "not-ours"
    assert rule(Remove(ip_address("10.31.188.200"), ETH0, "eth0", 16), scene) == "not-ours"


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.5", "255.255.255.255", "169.254.1.1", "240.0.0.1"]
)
def test_special_addresses_are_no_vips(text: str) -> None:
    assert rule(on_nic(ip_address(text)), facts(node(), ip_address(text))) == "no-single-host"


@pytest.mark.parametrize("text", ["::1", "::", "::7", "fe80::1", "ff02::1"])
def test_special_ipv6_addresses_are_no_vips(text: str) -> None:
    assert rule(on_nic(ip_address(text)), facts(node(), ip_address(text))) == "no-single-host"


def test_the_broadcast_address_of_a_nics_subnet_is_no_hosts_and_one_within_is_like_any_other() -> None:
    last, within = ip_address("10.31.255.255"), ip_address("10.31.188.255")

    assert rule(on_nic(last), facts(node(), last)) == "no-single-host"
    assert rule(on_nic(within), facts(node(), within)) is None


def test_the_dummy_interface_itself_is_not_judged_here() -> None:
    assert refusal_of(CreateDummy("kube-lb0"), facts(node())) is None


@given(st.ip_addresses(v=4), st.integers(8, 31), st.ip_addresses(v=4), st.integers(8, 30))
def test_a_route_shadows_a_subnet_just_when_they_have_an_address_in_common(
    vip: IPAddress, length: int, other: IPAddress, other_length: int
) -> None:
    ours, subnet = ip_network((vip, length), strict=False), ip_network((other, other_length), strict=False)
    connected = connected_subnets(
        Present([SECOND_NIC], [own(ETH1, f"{other}/{other_length}")]) if not other.is_link_local else Present(),
        "kube-lb0",
    )

    have_common = ours[0] in subnet or subnet[0] in ours
    assert (shadowed_by(ours, DUMMY, connected) is not None) == (have_common and bool(connected))
