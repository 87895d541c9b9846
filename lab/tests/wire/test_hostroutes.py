"""The ways between subnets and to pods."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

from lab.wire.hostroutes import Route, routes_of
from lab.wire.topology import Topology, topology
from lab.wire.topologyfile import load

SAMPLES = Path(__file__).parents[2] / "topologies"


def ways(lab: Topology, host: str, *, routes_are_learned: bool = False) -> dict[str, Route]:
    routes = routes_of(lab, lab.find(host), routes_are_learned=routes_are_learned)
    assert len({(route.destination, route.table) for route in routes}) == len(routes)
    return {str(route.destination): route for route in routes}


def gateways(route: Route) -> list[str]:
    return [f"{hop.gateway} {hop.link}" for hop in route.hops]


def test_the_articles_hosts_go_by_the_router_and_to_pods_by_their_node() -> None:
    lab = topology(3)

    node = ways(lab, "worker-188-11")
    assert gateways(node["0.0.0.0/0"]) == ["10.31.254.251 eth0"]
    assert gateways(node["10.0.2.0/24"]) == ["10.31.188.12 eth0"]
    assert gateways(node["fd00:10:0:2::/64"]) == ["fd00:10:31::188:12 eth0"]
    assert node["10.0.1.0/24"].hops == (), "its own pods have links of their own, and nobody else is there"
    assert set(ways(lab, "client")) == {"0.0.0.0/0", "::/0"}


def test_routed_addresses_are_balanced_over_workers_unless_they_are_learned() -> None:
    assert gateways(ways(topology(3), "router")["10.189.0.0/16"]) == ["10.31.188.11 eth0", "10.31.188.12 eth0"]
    assert "10.189.0.0/16" not in ways(topology(3), "router", routes_are_learned=True)


def test_pods_on_another_subnet_are_behind_the_router_which_knows_all() -> None:
    lab = load(SAMPLES / "two-subnets.yaml")

    assert gateways(ways(lab, "left-1")["10.0.2.0/24"]) == ["192.0.2.254 eth0"]
    assert gateways(ways(lab, "router")["10.0.2.0/24"]) == ["198.51.100.11 eth1"]
    assert gateways(ways(lab, "router")["10.189.0.0/16"]) == [
        "192.0.2.12 eth0",
        "198.51.100.11 eth1",
        "198.51.100.12 eth1",
    ]


def test_a_dual_homed_node_is_reached_where_one_meets_it() -> None:
    lab = load(SAMPLES / "purelb.yaml")

    assert gateways(ways(lab, "purelb1")["10.0.3.0/24"]) == ["172.30.250.13 eth0"]
    assert gateways(ways(lab, "purelb4")["10.0.0.0/24"]) == ["172.30.250.11 eth1"]
    assert gateways(ways(lab, "purelb3")["10.0.3.0/24"]) == ["172.30.255.12 eth0"]


def test_a_node_without_neighbours_has_its_gateway_on_link() -> None:
    way = ways(load(SAMPLES / "odd-hosts.yaml"), "alone")

    assert way["0.0.0.0/0"].is_on_link
    assert gateways(way["10.0.0.0/24"]) == ["203.0.113.254 eth0"]


def test_a_node_without_a_default_route_knows_the_subnets_and_pods() -> None:
    lab = load(SAMPLES / "odd-hosts.yaml")

    inland = ways(lab, "inland")
    assert ip_network("0.0.0.0/0") not in {route.destination for route in inland.values()}
    assert "10.0.1.0/24" in inland
    assert ways(lab, "policy")["0.0.0.0/0"].table == 100


def test_a_family_that_two_hosts_do_not_share_has_no_way_between_them() -> None:
    lab = load(SAMPLES / "families.yaml")

    six, four, both = (ways(lab, name) for name in ("six", "four", "both-1"))
    assert gateways(six["::/0"]) == ["fd00:6::254 eth0"]
    assert not [destination for destination in six if "." in destination]
    assert not [destination for destination in four if ":" in destination]
    assert gateways(both["fd00:10:0:1::/64"]) == ["fd00:192:0:2::12 eth0"]
    assert gateways(both["fd00:10:0:2::/64"]) == ["fd00:6::13 eth1"], "by the NIC on the subnet of that family"
    assert gateways(both["10.0.3.0/24"]) == ["192.0.2.254 eth0"]
    assert "10.0.2.0/24" not in both
    assert gateways(ways(lab, "router")["fd00:10:189::/64"]) == ["fd00:192:0:2::12 eth0", "fd00:6::13 eth1"]
