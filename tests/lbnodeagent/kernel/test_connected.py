"""Which addresses and subnets are the node's own."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from lbnodeagent.kernel.connected import (
    PATIENCE,
    Connected,
    ConnectedSubnets,
    connected_subnets,
    interface_with,
    own_addresses,
)
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import DUMMY_ALIAS
from tests.lbnodeagent.scenes import DUMMY, ETH0, ETH1, IPVS, NOW, VIP, link, node, on_dummy, own, placed

IPVS_LINK = replace(link(IPVS, "kube-ipvs0"), has_neighbours=False)


def test_the_nodes_own_are_the_first_of_each_subnet_of_its_nics() -> None:
    present = node(own(ETH1, "192.168.50.11/24"), placed(ETH0, f"{VIP}/16"), on_dummy("10.189.0.0/24"))
    present.set_link(link(ETH1, "eth1"))

    assert own_addresses(present, "kube-lb0") == {ip_address("10.31.188.11"), ip_address("192.168.50.11")}


def test_what_another_load_balancer_left_is_not_taken_for_the_nodes_own() -> None:
    present = node(
        own(ETH0, f"{VIP}/16", is_secondary=True),  # PureLB's own agent
        own(ETH0, "10.31.188.65/32"),  # kube-vip, keepalived
        replace(own(ETH0, "10.32.0.1/16"), looks_ours=True),
        own(DUMMY, "10.189.0.0/24"),
        own(IPVS, "10.189.0.1/24"),
        links=[IPVS_LINK],
    )

    assert own_addresses(present, "kube-lb0") == {ip_address("10.31.188.11")}


def test_bridges_to_pods_are_no_business_of_other_nodes() -> None:
    assert own_addresses(node(own(ETH1, "10.244.1.1/24"), links=[link(ETH1, "cni0")]), "kube-lb0") == {
        ip_address("10.31.188.11")
    }


def test_an_address_is_found_on_the_nic_where_somebody_put_it() -> None:
    present = node(own(ETH1, f"{VIP}/24"), links=[link(ETH1, "eth1")])

    assert interface_with(VIP, present, "kube-lb0") == "eth1"


def test_where_kube_proxy_and_agents_keep_vips_they_are_nobodys() -> None:
    present = node(own(IPVS, f"{VIP}/32"), own(DUMMY, f"{VIP}/24"), placed(ETH0, f"{VIP}/16"), links=[IPVS_LINK])

    assert interface_with(VIP, present, "kube-lb0") is None


def test_behind_a_dummy_interface_is_no_subnet_be_it_ours_by_another_name_or_another_programs() -> None:
    kube_router = replace(link(ETH1, "kube-dummy-if"), kind="dummy", has_neighbours=False)
    former = replace(link(IPVS, "lb-before", alias=DUMMY_ALIAS), kind="ifb", has_neighbours=False)
    present = node(own(ETH1, "10.200.0.1/24"), own(IPVS, "10.201.0.1/24"), links=[kube_router, former])

    assert {one.interface for one in connected_subnets(present, "kube-lb0")} == {"eth0"}


def test_behind_a_tunnel_there_is_one() -> None:
    tunnel = replace(link(ETH1, "wg0"), kind="wireguard", has_neighbours=False)
    present = node(own(ETH1, "10.200.0.1/24"), links=[tunnel])

    assert {one.interface for one in connected_subnets(present, "kube-lb0")} == {"eth0", "wg0"}


LAN = Connected(ip_network("192.168.50.0/24"), ETH1, "eth1")


def dual_homed() -> tuple[Present, ConnectedSubnets]:
    present = node(own(ETH1, "192.168.50.11/24"), links=[link(ETH1, "eth1")])
    subnets = ConnectedSubnets()
    subnets.look(present, "kube-lb0", NOW)
    assert LAN in subnets.known
    return present, subnets


def lose_address(present: Present) -> None:
    present.drop_address(ETH1, ip_address("192.168.50.11"), 24)


def test_the_subnet_of_a_nic_without_a_cable_is_remembered_though_its_address_went() -> None:
    present, subnets = dual_homed()
    present.set_link(link(ETH1, "eth1", has_carrier=False))
    lose_address(present)

    for hours in range(3):
        subnets.look(present, "kube-lb0", NOW + 3600 * hours)

    assert LAN in subnets.known


def test_when_the_cable_is_back_its_address_has_a_minute_to_come() -> None:
    present, subnets = dual_homed()
    present.set_link(link(ETH1, "eth1", has_carrier=False))
    lose_address(present)
    subnets.look(present, "kube-lb0", NOW + 3600)
    present.set_link(link(ETH1, "eth1"))

    subnets.look(present, "kube-lb0", NOW + 3600 + PATIENCE - 1)
    assert LAN in subnets.known
    subnets.look(present, "kube-lb0", NOW + 3600 + PATIENCE)
    assert LAN not in subnets.known


def test_a_subnet_of_an_interface_that_is_no_more_is_forgotten_after_a_minute() -> None:
    present, subnets = dual_homed()
    present.drop_link(ETH1)

    subnets.look(present, "kube-lb0", NOW + 1)
    assert LAN in subnets.known
    subnets.look(present, "kube-lb0", NOW + 1 + PATIENCE)
    assert LAN not in subnets.known
