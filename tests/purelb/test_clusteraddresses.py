"""The cluster's own addresses, read from its objects."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import pytest

from purelb.clusteraddresses import (
    MOST,
    MOST_AGGREGATES,
    cluster_ips,
    ends_of_aggregates,
    ends_of_subnets,
    ignored_networks,
    node_addresses,
    server_addresses,
    service_addresses,
    told_by_operator,
)
from purelb.forbidden import Forbidden
from tests.allocator.builders import group

NODE = {
    "metadata": {"name": "m"},
    "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:244:1::/64"]},
    "status": {
        "addresses": [
            {"type": "InternalIP", "address": "10.31.188.1"},
            {"type": "ExternalIP", "address": "203.0.113.7"},
            {"type": "Hostname", "address": "m"},
        ]
    },
}


SECOND_FAMILY = {
    "metadata": {"name": "m"},
    "status": {"addresses": [{"type": "InternalIP", "address": "fd00:10:31::188:1"}]},
}


def told(forbidden: Iterable[Forbidden]) -> dict[str, str]:
    return {str(one.addresses): one.reason for one in forbidden}


def test_a_node_has_its_addresses_and_the_network_of_its_pods() -> None:
    assert told(node_addresses(NODE)) == {
        "10.31.188.1-10.31.188.1": "is an address of node m",
        "203.0.113.7-203.0.113.7": "is an address of node m",
        "10.244.1.0-10.244.1.255": "is of 10.244.1.0/24, the network of the pods of node m",
        "fd00:244:1::-fd00:244:1:0:ffff:ffff:ffff:ffff": "is of fd00:244:1::/64, the network of the pods of node m",
    }
    assert told(node_addresses({"metadata": {"name": "new"}})) == {}


def test_the_api_server_and_the_resolver_are_known_by_their_services() -> None:
    services: list[dict[str, Any]] = [
        {"metadata": {"namespace": "default", "name": "kubernetes"}, "spec": {"clusterIP": "10.96.0.1"}},
        {
            "metadata": {"namespace": "kube-system", "name": "coredns", "labels": {"k8s-app": "kube-dns", "x": "y"}},
            "spec": {"clusterIPs": ["10.96.0.10", "fd00:96::a"]},
        },
        {"metadata": {"namespace": "kube-system", "name": "metrics"}, "spec": {"clusterIPs": ["10.96.0.11"]}},
        {
            "metadata": {"namespace": "tenant", "name": "kubernetes", "labels": {"k8s-app": "kube-dns"}},
            "spec": {"clusterIP": "10.96.7.7", "externalIPs": ["10.31.188.64"]},
        },
    ]
    slices: list[dict[str, Any]] = [
        {
            "metadata": {"namespace": namespace, "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "endpoints": [{"addresses": [address]}],
        }
        for namespace, address in (("default", "10.31.188.1"), ("tenant", "10.31.188.65"))
    ]
    ranges = [{"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16"]}}]

    found = (*map(service_addresses, services), *map(server_addresses, slices), *map(cluster_ips, ranges))

    assert told(chain.from_iterable(found)) == {
        "10.96.0.1-10.96.0.1": "is the API server's ClusterIP",
        "10.96.0.10-10.96.0.10": "is the ClusterIP of the cluster's resolver",
        "fd00:96::a-fd00:96::a": "is the ClusterIP of the cluster's resolver",
        "10.31.188.1-10.31.188.1": "is an address of the API server",
        "10.96.0.0-10.96.255.255": "is of 10.96.0.0/16, the range of ClusterIPs",
    }


def test_a_headless_service_has_no_address() -> None:
    headless = {"metadata": {"namespace": "default", "name": "kubernetes"}, "spec": {"clusterIP": "None"}}

    assert told(service_addresses(headless)) == told(service_addresses({**headless, "spec": {}})) == {}


@pytest.mark.parametrize(
    ("subnet", "pool", "ends"),
    [
        ("10.31.0.0/16", "10.31.188.0/24", ["10.31.0.0", "10.31.255.255"]),
        ("10.31.188.64/26", "10.31.188.64/26", []),
        ("10.31.188.0/31", "10.31.188.0/31", []),
        ("fd00:10:31::/64", "fd00:10:31::/64", ["fd00:10:31::"]),
        ("fd00:10:32::/64", "fd00:10:32::/64", []),
        ("fd00:10:31::188:0/127", "fd00:10:31::188:0/127", []),
    ],
)
def test_only_a_subnet_with_nodes_in_it_has_ends_that_are_no_hosts(subnet: str, pool: str, ends: list[str]) -> None:
    groups = [group("g", local={"v6pool" if ":" in subnet else "v4pool": {"subnet": subnet, "pool": pool}})]
    nodes = [*node_addresses(NODE), *node_addresses(SECOND_FAMILY)]

    found = list(ends_of_subnets(groups, nodes))

    assert sorted(str(one.addresses.first) for one in found) == ends


@pytest.mark.parametrize(
    ("subnet", "pool", "aggregation", "ends"),
    [
        ("10.189.0.0/16", "10.189.0.0/23", "/24", ["10.189.0.255", "10.189.1.255"]),
        ("10.189.0.0/16", "10.189.0.7-10.189.0.254", "/24", []),
        ("10.189.0.0/24", "10.189.0.0/24", "default", ["10.189.0.255"]),
        ("10.189.0.0/16", "10.189.0.0/24", "/32", []),
        ("10.189.0.0/16", "10.189.0.0/24", "/31", []),
        ("10.31.0.0/16", "10.31.188.0/24", "/24", []),  # on NICs
        ("fd00:189::/64", "fd00:189::/120", "/120", []),
    ],
)
def test_the_last_address_of_an_aggregate_on_the_dummy_interface_is_no_hosts(
    subnet: str, pool: str, aggregation: str, ends: list[str]
) -> None:
    family = "v6pool" if ":" in subnet else "v4pool"
    groups = [group("g", local={family: {"subnet": subnet, "pool": pool, "aggregation": aggregation}})]

    found = list(ends_of_aggregates(groups, node_addresses(NODE)))

    assert [str(one.addresses.first) for one in found] == ends


def test_of_many_aggregates_some_are_looked_at() -> None:
    pool = {"subnet": "10.0.0.0/8", "pool": "10.0.0.0/9", "aggregation": "/30"}

    assert len(list(ends_of_aggregates([group("g", local={"v4pool": pool})], ()))) == MOST_AGGREGATES


def test_an_operator_may_forbid_more() -> None:
    assert told(told_by_operator(["10.31.255.254", "10.32.0.0/24"])) == {
        "10.31.255.254-10.31.255.254": "is of 10.31.255.254, which the allocator was told to leave alone",
        "10.32.0.0-10.32.0.255": "is of 10.32.0.0/24, which the allocator was told to leave alone",
    }


def test_of_a_node_only_so_many_addresses_count() -> None:
    addresses = [{"type": "InternalIP", "address": f"10.31.{number}.1"} for number in range(200)]

    assert len(told(node_addresses({"metadata": {"name": "m"}, "status": {"addresses": addresses}}))) == MOST


def pods(*networks: str) -> dict[str, Any]:
    return {"metadata": {"name": "m"}, "spec": {"podCIDRs": list(networks)}}


def test_of_a_node_s_pods_two_networks_count_that_are_not_too_wide() -> None:
    narrow = pods("10.240.0.0/12", "fd00:244::/32", "10.1.0.0/24")
    wide = pods("0.0.0.0/0", "::/0")

    assert list(told(node_addresses(narrow))) == [
        "10.240.0.0-10.255.255.255",
        "fd00:244::-fd00:244:ffff:ffff:ffff:ffff:ffff:ffff",
    ]
    assert list(ignored_networks(narrow)) == []
    assert list(node_addresses(wide)) == list(node_addresses(pods("10.224.0.0/11", "fd00::/31"))) == []
    assert list(ignored_networks(wide)) == [
        "0.0.0.0/0 is too wide for the network of the pods of node m: pools may give its addresses",
        "::/0 is too wide for the network of the pods of node m: pools may give its addresses",
    ]


def test_a_pod_is_no_node_in_a_subnet() -> None:
    groups = [group("g", local={"v4pool": {"subnet": "10.31.0.0/16", "pool": "10.31.188.0/24"}})]

    assert list(ends_of_subnets(groups, node_addresses(pods("10.31.7.7/32")))) == []
