"""The cluster's own addresses, read from its objects: what no Service may be given. Pure.

Nodes, pods, the API server and the resolver. What the API doesn't show (gateways, a resolver outside) an operator says
(``told_by_operator``). What tenants write, such as externalIPs, counts for nothing here: else one of them could take a
pool from all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, ip_network
from itertools import islice
from typing import Any, Final

from purelb.addresses import AddressRange, IPAddress, parse_address, parse_network, parse_range
from purelb.errors import AddressError
from purelb.forbidden import Forbidden
from purelb.servicegroups import ServiceGroup

Json = Mapping[str, Any]

NODE_ADDRESSES: Final = frozenset({"InternalIP", "ExternalIP"})
RESOLVER: Final = {"k8s-app": "kube-dns"}
"""The label that CoreDNS and kube-dns bear on their Service alike."""
MOST: Final = 64
"""Addresses of one node that count: a kubelet says of itself what it likes."""
MOST_NETWORKS: Final = 2
"""Networks of one node's pods that count: Kubernetes knows one of each family."""
MOST_AGGREGATES: Final = 4096
"""Of one pool that are looked at."""
WIDEST: Final = {4: 12, 6: 32}
"""Prefix lengths; wider networks of a node's pods don't count: else one node could take the pools from all."""


def node_addresses(node: Json) -> Iterator[Forbidden]:
    """The addresses of a Node object, and the networks of its pods (podCIDRs)."""
    name = node["metadata"]["name"]
    for entry in islice((node.get("status") or {}).get("addresses") or (), MOST):
        if entry.get("type") in NODE_ADDRESSES:
            for address in _one(entry.get("address"), f"is an address of node {name}"):
                yield replace(address, is_of_node=True)
    for text in _pod_networks(node):
        for network in _network(text, f"is of {text}, the network of the pods of node {name}"):
            if not _is_too_wide(network):
                yield network


def ignored_networks(node: Json) -> Iterator[str]:
    """What a Node object says of its pods and is not believed: a sentence for each."""
    for text in _pod_networks(node):
        if any(map(_is_too_wide, _network(text, ""))):
            name = node["metadata"]["name"]
            yield f"{text} is too wide for the network of the pods of node {name}: pools may give its addresses"


def _pod_networks(node: Json) -> Iterator[str]:
    spec = node.get("spec") or {}
    return islice(spec.get("podCIDRs") or filter(None, [spec.get("podCIDR")]), MOST_NETWORKS)


def _is_too_wide(network: Forbidden) -> bool:
    family = network.addresses.family
    return network.addresses.size > 1 << (family.bits - WIDEST[network.addresses.first.version])


def service_addresses(service: Json) -> Iterator[Forbidden]:
    """The ClusterIPs of ``default/kubernetes`` and of kube-system's resolver; of another Service nothing."""
    metadata, spec = service["metadata"], service.get("spec") or {}
    of = metadata.get("namespace"), metadata["name"]
    if of == ("default", "kubernetes"):
        whose = "is the API server's ClusterIP"
    elif of[0] == "kube-system" and RESOLVER.items() <= (metadata.get("labels") or {}).items():
        whose = "is the ClusterIP of the cluster's resolver"
    else:
        return
    for text in spec.get("clusterIPs") or [spec.get("clusterIP")]:
        yield from _one(text, whose)


def server_addresses(piece: Json) -> Iterator[Forbidden]:
    """Where the API server is, by an EndpointSlice of ``default/kubernetes``; of another's nothing."""
    metadata = piece["metadata"]
    labels = metadata.get("labels") or {}
    if (metadata.get("namespace"), labels.get("kubernetes.io/service-name")) == ("default", "kubernetes"):
        for endpoint in piece.get("endpoints") or ():
            for text in endpoint.get("addresses") or ():
                yield from _one(text, "is an address of the API server")


def cluster_ips(cidrs: Json) -> Iterator[Forbidden]:
    """The ranges of ClusterIPs that a ServiceCIDR (networking.k8s.io) names."""
    for text in (cidrs.get("spec") or {}).get("cidrs") or ():
        yield from _network(text, f"is of {text}, the range of ClusterIPs")


def ends_of_subnets(groups: Iterable[ServiceGroup], nodes: Iterable[Forbidden]) -> Iterator[Forbidden]:
    """The network and broadcast address of each IPv4 subnet of a group that has a node in it; of an IPv6 one the first.

    That is every router's (RFC 4291 section 2.6.1): all nodes that forward answer for it, and none of them can have it.
    Only then is a group's subnet known to be one that nodes are on; of any other, such as 10.31.188.64/26 within the
    nodes' /16, the first and the last address are like all others, and PureLB gives them.
    """
    there = {entry.addresses.first for entry in nodes if entry.is_of_node}
    for subnet in {pool.subnet for group in groups for pool in group.pools}:
        if subnet.prefixlen >= subnet.max_prefixlen - 1 or not any(address in subnet for address in there):
            continue
        if subnet.version == 6:
            yield _forbid(
                subnet.network_address, f"is the subnet-router anycast address of {subnet}, which nodes are on"
            )
        else:
            yield _forbid(subnet.network_address, f"is the network address of {subnet}, which nodes are on")
            yield _forbid(subnet.broadcast_address, f"is the broadcast address of {subnet}, which nodes are on")


def ends_of_aggregates(groups: Iterable[ServiceGroup], nodes: Iterable[Forbidden]) -> Iterator[Forbidden]:
    """The last address of each IPv4 aggregate of a pool whose subnet has no node in it, so that it is routed.

    With the prefix of its aggregate on kube-lb0 it is that prefix's broadcast address: Linux doesn't answer for it if
    another VIP of the aggregate was there first.
    """
    there = {entry.addresses.first for entry in nodes if entry.is_of_node}
    for pool in dict.fromkeys(pool for group in groups for pool in group.pools):
        if pool.subnet.version == 6 or pool.prefix_length > 30 or any(address in pool.subnet for address in there):
            continue
        size = 1 << (32 - pool.prefix_length)
        first = int(pool.range.first) | (size - 1)
        for number in range(first, int(pool.range.last) + 1, size)[:MOST_AGGREGATES]:
            address = IPv4Address(number)
            aggregate = ip_network((address, pool.prefix_length), strict=False)
            yield _forbid(address, f"is the broadcast address of {aggregate}, its aggregate on kube-lb0")


def told_by_operator(parts: Iterable[str]) -> tuple[Forbidden, ...]:
    """What an operator forbids (gateways, resolvers): addresses, ranges, CIDRs. Raises AddressError."""
    return tuple(
        Forbidden(parse_range(part), f"is of {part}, which the allocator was told to leave alone") for part in parts
    )


def _one(text: str | None, reason: str) -> Iterator[Forbidden]:
    try:
        if text:
            yield _forbid(parse_address(text), reason)
    except AddressError:
        return  # "None", a host name


def _network(text: str, reason: str) -> Iterator[Forbidden]:
    try:
        network = parse_network(text)
    except AddressError:
        return
    yield Forbidden(AddressRange(network.network_address, network.broadcast_address), reason)


def _forbid(address: IPAddress, reason: str) -> Forbidden:
    return Forbidden(AddressRange(address, address), reason)
