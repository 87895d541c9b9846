"""What is read from FRR 8.4.4's JSON, as the router of a lab gave it."""

from __future__ import annotations

import json
from ipaddress import ip_network

from lab.demo.routes import NodeAddresses, established, link_local, next_hops, show_route, updates_received
from lab.wire.router import frr_config
from lab.wire.topology import topology

MASTER, WORKER = topology(2).nodes
NODES = NodeAddresses.of(
    {"name": node.name, "ipv4": str(node.ipv4), "ipv6": str(node.ipv6), "mac": node.mac} for node in (MASTER, WORKER)
)
PREFIX, PREFIX6 = ip_network("10.189.0.0/32"), ip_network("fd00:10:189::/128")


def _route(*hops: dict[str, object], installed: bool = True, protocol: str = "bgp") -> str:
    return json.dumps({"10.189.0.0/32": [{"protocol": protocol, "installed": installed, "nexthops": list(hops)}]})


def _hop(ip: str, *, fib: bool = True) -> dict[str, object]:
    return {"ip": ip, "fib": fib, "active": True}


def test_next_hops_are_told_as_nodes() -> None:
    assert next_hops(_route(_hop("10.31.188.1"), _hop("10.31.188.11")), PREFIX, NODES) == {MASTER.name, WORKER.name}


def test_only_what_the_kernel_has_counts() -> None:
    assert next_hops(_route(_hop("10.31.188.1"), _hop("10.31.188.11", fib=False)), PREFIX, NODES) == {MASTER.name}
    assert next_hops(_route(_hop("10.31.188.1"), installed=False), PREFIX, NODES) == set()
    assert next_hops(_route(_hop("10.31.188.1"), protocol="kernel"), PREFIX, NODES) == set()
    assert next_hops("{}\n", PREFIX, NODES) == set()


def test_ipv6_next_hops_are_link_local_addresses_made_from_macs() -> None:
    assert str(link_local("52:54:00:3c:88:cb")) == "fe80::5054:ff:fe3c:88cb"
    hop = {"ip": "fe80::5054:ff:fe3c:88cb", "fib": True, "active": True}
    answer = json.dumps({str(PREFIX6): [{"protocol": "bgp", "installed": True, "nexthops": [hop]}]})

    assert next_hops(answer, PREFIX6, NODES) == {WORKER.name}
    assert show_route(PREFIX6) == "show ipv6 route fd00:10:189::/128 json"


def test_sessions_and_updates_are_counted_per_node() -> None:
    peers = {"10.31.188.1": {"state": "Established"}, "10.31.188.11": {"state": "Active"}}
    neighbours = {"10.31.188.11": {"messageStats": {"updatesRecv": 4}}, "vrfName": "default"}

    assert established(json.dumps({"peers": peers}), NODES) == {MASTER.name}
    assert updates_received(json.dumps(neighbours), NODES) == {WORKER.name: 4}


def test_every_node_is_a_neighbour_of_the_router_with_bfd_for_both_families() -> None:
    lines = [line.strip() for line in frr_config(topology(3), 100).splitlines()]

    assert "router bgp 64512" in lines
    assert "no bgp ebgp-requires-policy" in lines
    assert lines.count("maximum-paths 3") == 2
    for address in ("10.31.188.1", "10.31.188.11", "10.31.188.12"):
        assert f"neighbor {address} remote-as 64515" in lines
        assert f"neighbor {address} bfd 3 100 100" in lines
        assert f"neighbor {address} activate" in lines
    assert "neighbor 10.31.188.11 description 10-31-188-11" in lines
