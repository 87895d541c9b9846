"""Which NIC takes a VIP."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from lbnodeagent.gossip.meta import Meta, decode_meta, encode_meta
from lbnodeagent.kernel.interfaces import chosen_links, macs, nic_subnets, reach, subnet_for, surroundings
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import DefaultRoute, IfIndex, Surroundings
from purelb.addresses import Family
from purelb.nodeagents import NodeAgentConfig
from purelb.version import Version
from tests.lbnodeagent.scenes import DUMMY, ETH0, ETH1, IPVS, LO, VIP, link, node, own, placed

ETH2 = IfIndex(9)


def host(*routes: DefaultRoute) -> Present:
    """eth0 on 10.31.0.0/16, eth1 on 192.168.1.0/24, eth2 on 172.16.0.0/24, and what a node has beside them."""
    names = {LO: "lo", ETH0: "eth0", ETH1: "eth1", ETH2: "eth2", DUMMY: "kube-lb0", IPVS: "kube-ipvs0"}
    pods = {IfIndex(20): "veth1234", IfIndex(21): "cali5678", IfIndex(22): "lxc_health"}
    return Present(
        [link(index, name) for index, name in {**names, **pods}.items()],
        [
            own(ETH0, "10.31.188.11/16"),
            own(ETH1, "192.168.1.11/24"),
            own(ETH2, "172.16.0.11/24"),
            own(IfIndex(20), "10.0.1.1/24"),
        ],
        routes,
    )


def names_of(config: NodeAgentConfig, present: Present, family: Family = Family.IPV4) -> list[str]:
    return [link.name for link in chosen_links(config, present, family)]


def route(metric: int, *interfaces: IfIndex) -> DefaultRoute:
    return DefaultRoute(Family.IPV4, metric, interfaces)


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([route(0, ETH0)], ["eth0"]),
        ([route(300, ETH0), route(100, ETH1), route(200, ETH2)], ["eth1"]),
        ([route(100, ETH0, ETH1)], ["eth0", "eth1"]),
        ([route(100, ETH0), route(100, ETH1)], ["eth0", "eth1"]),
    ],
    ids=["one", "lowest metric", "multipath", "equal metrics"],
)
def test_default_is_the_interface_of_the_preferred_default_route(
    routes: list[DefaultRoute], expected: list[str]
) -> None:
    assert names_of(NodeAgentConfig(), host(*routes)) == expected


@pytest.mark.parametrize(
    "routes",
    [[], [route(0, DUMMY)], [DefaultRoute(Family.IPV6, 1, (ETH2,))]],
    ids=["none", "never the dummy", "other family"],
)
def test_without_a_default_route_default_is_every_nic_on_a_subnet_of_the_family(routes: list[DefaultRoute]) -> None:
    assert names_of(NodeAgentConfig(), host(*routes)) == ["eth0", "eth1", "eth2"]


def test_a_node_without_a_default_route_takes_the_vips_of_its_lan() -> None:
    found = subnet_for(VIP, nic_subnets(NodeAgentConfig(), host()))

    assert found is not None
    assert found.interface == "eth0"


def test_a_node_without_any_subnet_says_that_default_stands_for_nothing() -> None:
    nowhere = Present([link(LO, "lo"), link(ETH0, "eth0")], [own(LO, "127.0.0.1/8"), own(ETH0, "10.0.0.1/32")])

    assert surroundings(NodeAgentConfig(), nowhere) == Surroundings((), ("default",))
    assert surroundings(NodeAgentConfig(), host()).missing == ()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("eth[01]", ["eth0", "eth1"]),
        ("th1", ["eth1"]),
        ("^eth2$", ["eth2"]),
        ("e", ["eth0", "eth1", "eth2"]),
        ("", ["eth0", "eth1", "eth2"]),
        ("lo|kube|veth|cali|lxc", []),
        ("bond0", []),
    ],
)
def test_a_regular_expression_is_unanchored_and_never_finds_what_is_not_a_nic(
    pattern: str, expected: list[str]
) -> None:
    config = NodeAgentConfig(local_interface=pattern or ".*")

    assert names_of(config, host()) == expected


def test_further_interfaces_are_tried_in_their_order_after_the_main_choice() -> None:
    config = NodeAgentConfig(interfaces=("eth2", "eth1", "eth0", "absent"))

    assert names_of(config, host(route(0, ETH0))) == ["eth0", "eth2", "eth1"]


def test_a_vip_goes_to_the_first_interface_whose_subnet_holds_it() -> None:
    subnets = nic_subnets(NodeAgentConfig(local_interface="eth"), host())

    found = subnet_for(ip_address("192.168.1.200"), subnets)

    assert found is not None
    assert (found.interface, found.prefix_length) == ("eth1", 24)
    assert subnet_for(ip_address("10.189.0.0"), subnets) is None


def test_the_most_specific_subnet_of_an_interface_decides() -> None:
    present = node(own(ETH0, "10.31.188.12/26"))

    found = subnet_for(VIP, nic_subnets(NodeAgentConfig(), node(own(ETH0, "10.31.188.65/26"))))

    assert found is not None
    assert found.prefix_length == 26
    outside = subnet_for(VIP, nic_subnets(NodeAgentConfig(), present))
    assert outside is not None
    assert outside.prefix_length == 16


def test_an_interface_with_a_cable_wins_over_one_without() -> None:
    present = node(own(ETH1, "10.31.5.5/16"), links=[link(ETH0, "eth0", has_carrier=False), link(ETH1, "eth1")])

    found = subnet_for(VIP, nic_subnets(NodeAgentConfig(local_interface="eth"), present))

    assert found is not None
    assert found.interface == "eth1"


def test_the_nodes_own_addresses_alone_say_where_it_is() -> None:
    present = node(
        placed(ETH0, "10.99.0.1/24"),
        own(ETH0, "10.98.0.1/32"),
        own(ETH0, "fe80::1/64"),
        own(ETH0, "fd00:99::1/64", is_usable=False),
    )

    assert reach(nic_subnets(NodeAgentConfig(), present)) == {
        ip_network("10.31.0.0/16"),
        ip_network("fd00:10:31::/64"),
    }


def test_a_nic_without_a_cable_is_not_in_reach() -> None:
    present = node(links=[link(ETH0, "eth0", has_carrier=False)])

    assert reach(nic_subnets(NodeAgentConfig(), present)) == frozenset()


def test_an_agent_that_announces_nothing_reaches_nothing() -> None:
    assert nic_subnets(NodeAgentConfig(announces=False), node()) == []


def test_what_the_configuration_names_in_vain_is_told() -> None:
    config = NodeAgentConfig(local_interface="bond", interfaces=("eth1", "eth7"))

    assert surroundings(config, host(route(0, ETH0))) == Surroundings(("eth1",), ("bond", "eth7"))
    assert surroundings(NodeAgentConfig(), host(route(0, ETH0))) == Surroundings(("eth0",), ())
    assert surroundings(NodeAgentConfig(announces=False, interfaces=("eth7",)), host()) == Surroundings((), ())


def test_the_nics_beside_kube_proxys_interface_of_mode_ipvs_are_told() -> None:
    present = host(route(0, ETH0))
    assert surroundings(NodeAgentConfig(), present).beside_ipvs == ()

    present.set_address(own(IPVS, "10.31.188.64/32"))
    assert surroundings(NodeAgentConfig(), present).beside_ipvs == ("eth0",)


def test_a_nic_whose_only_address_is_of_no_subnet_is_told() -> None:
    present = Present([link(ETH0, "eth0")], [own(ETH0, "10.0.0.5/32"), own(ETH0, "fd00::5/64")], [route(0, ETH0)])
    assert surroundings(NodeAgentConfig(local_interface="eth0"), present).subnetless == ("eth0 10.0.0.5/32",)

    present.set_address(own(ETH0, "10.0.1.5/24"))
    assert surroundings(NodeAgentConfig(local_interface="eth0"), present).subnetless == ()


@pytest.mark.parametrize(
    "config", [NodeAgentConfig(), NodeAgentConfig(local_interface="eth1", interfaces=("veth1234",))]
)
def test_peers_are_told_of_all_nics_from_which_this_node_may_answer(config: NodeAgentConfig) -> None:
    present = host(route(0, ETH0))
    nics = {ETH0, ETH1, ETH2} | ({IfIndex(20)} if config.interfaces else set())

    assert macs(config, present) == {present.links[index].mac for index in nics}


def test_a_node_with_many_bridges_tells_its_peers_of_the_nic_that_takes_vips() -> None:
    nic, bridges = IfIndex(200), [IfIndex(index) for index in range(30, 60)]
    addresses = [own(index, f"172.{index}.0.1/16") for index in bridges]
    links = [link(nic, "eth0"), *(link(index, f"br-{index}") for index in bridges)]
    present = Present(links, [own(nic, "10.31.188.11/16"), *addresses], [route(0, nic)])

    told = decode_meta(encode_meta(Meta(macs=macs(NodeAgentConfig(), present), version=Version())))

    assert told is not None
    assert present.links[nic].mac in told.macs
