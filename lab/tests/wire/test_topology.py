"""The lab's hosts are the article's."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lab.errors import UnknownHost
from lab.wire.topology import MAX_NODES, Role, topology

ARTICLE_POOL = range(64, 127)  # 10.31.188.64-126


def test_three_nodes_are_the_articles() -> None:
    lab = topology(3)

    assert [(node.name, str(node.ipv4), node.mac) for node in lab.nodes] == [
        ("tiny-cilium-master-188-1.k8s.tcinternal", "10.31.188.1/16", "52:54:00:69:0a:ab"),
        ("tiny-cilium-worker-188-11.k8s.tcinternal", "10.31.188.11/16", "52:54:00:3c:88:cb"),
        ("tiny-cilium-worker-188-12.k8s.tcinternal", "10.31.188.12/16", "52:54:00:32:a7:42"),
    ]
    assert str(lab.client.ipv4) == "10.31.100.2/16"
    assert str(lab.router.ipv4) == "10.31.254.251/16"
    assert str(lab.nodes[1].ipv6) == "fd00:10:31::188:11/64"
    assert str(lab.nodes[2].pods4) == "10.0.2.0/24"


def test_any_number_of_nodes_has_names_and_addresses_of_their_own() -> None:
    hosts = topology(MAX_NODES).hosts
    nics = [nic for host in hosts for nic in host.nics]

    assert len({host.name for host in hosts}) == len(nics) == len(hosts)
    for attribute in ("mac", "ipv4", "ipv6", "ports"):
        assert len({getattr(nic, attribute) for nic in nics}) == len(nics)
    assert all(len(port) <= 15 for nic in nics for port in nic.ports)


def test_no_node_sits_in_the_articles_pool() -> None:
    pool = {ip_address(f"10.31.188.{last}") for last in ARTICLE_POOL}
    pool6 = {ip_address(f"fd00:10:31::188:{last}") for last in ARTICLE_POOL}

    for host in topology(MAX_NODES).hosts:
        assert not {*pool, *pool6} & {*host.ips}


def test_routed_addresses_go_to_workers_and_to_a_lone_master() -> None:
    assert all(node.role is Role.WORKER for node in topology(3).routed_nodes)
    assert topology(1).routed_nodes == topology(1).nodes


@pytest.mark.parametrize(
    "text", ["tiny-cilium-worker-188-11.k8s.tcinternal", "worker-188-11", "188-11", "worker-11", "10.31.188.11"]
)
def test_a_host_is_found_by_any_of_its_names(text: str) -> None:
    assert topology(3).find(text).mac == "52:54:00:3c:88:cb"


def test_a_part_of_a_number_is_no_name() -> None:
    assert topology(3).find("188-1").role is Role.MASTER
    with pytest.raises(UnknownHost, match="worker-188-12"):
        topology(3).find("8-1")


@pytest.mark.parametrize("nodes", [0, MAX_NODES + 1])
def test_a_lab_of_an_impossible_size_is_refused(nodes: int) -> None:
    with pytest.raises(ValueError, match=str(nodes)):
        topology(nodes)
