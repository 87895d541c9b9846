"""What is wrong with the pools: addresses that are somebody's already, pools that nobody can announce. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from kubectl_purelb.causes import edit, of_group
from kubectl_purelb.cluster import Cluster, Group
from kubectl_purelb.diagnosis.surroundings import Surroundings
from purelb.addresses import AddressRange, IPAddress, listed, parse_address
from purelb.checks import Check, Finding
from purelb.errors import AddressError

_NAMED: Final = 5
"""Addresses that a sentence names."""


def of_pools(cluster: Cluster, around: Surroundings) -> Iterable[Finding]:
    given = (one for one in cluster.ours if one.is_branded and not one.is_written_by_others)
    vips = {address for service in given for address in service.ingress}
    gateways = {gateway for word in around.words.values() for gateway in word.facts.gateways}
    for group in cluster.groups:
        yield from of_group(group)
        ranges = [pool.range for pool in group.spec.pools] if group.spec is not None else []
        nodes = [
            f"{address} (node {node.name})"
            for node in around.nodes
            for address in _within(node.addresses - vips, ranges)
        ]
        if nodes:
            yield _found(Check.POOL_NODE_ADDRESS, group, f"it contains addresses of nodes: {listed(nodes, _NAMED)}")
        if there := [str(one) for one in _within(gateways, ranges)]:
            yield _found(Check.POOL_GATEWAY, group, f"it contains the nodes' gateway: {listed(there, _NAMED)}")
        pods = (network for node in around.nodes for network in node.pods)
        if there := list(dict.fromkeys(_overlapping(pods, ranges))):
            yield _found(Check.POOL_PODS, group, f"it overlaps the pods' network: {listed(there, _NAMED)}")
        if there := list(_overlapping(_cluster_ips(cluster, around), ranges)):
            yield _found(Check.POOL_CLUSTER_IPS, group, f"it overlaps the range of ClusterIPs: {listed(there, _NAMED)}")
        yield from _unreachable(group, cluster)
    for node in around.nodes:
        if taken := sorted(node.addresses & vips, key=int):
            what = f"it is known by {listed([str(one) for one in taken], _NAMED)}, which a Service has"
            remedy = (
                "tell kubelet (--node-ip) and the CNI (Calico: IP_AUTODETECTION_METHOD=kubernetes-internal-ip) which "
                "address is the node's own"
            )
            yield Finding(Check.VIP_IS_NODE_ADDRESS, what, remedy, f"node {node.name}")


def _unreachable(group: Group, cluster: Cluster) -> Iterable[Finding]:
    """Of a pool whose addresses belong on a NIC or nowhere."""
    spec, gathering = group.spec, cluster.gathering
    if spec is None or gathering is None or not gathering.nodes or group.trouble:
        return
    if spec.announcers is not None and not spec.announcers & gathering.nodes.keys():
        yield _found(Check.POOL_UNREACHABLE, group, "its nodeSelector matches no node that takes part")
    elif spec.is_onlink_only:
        known = [subnet for subnet, there in gathering.on.items() if there]
        lost = [str(pool.subnet) for pool in spec.pools if not any(pool.range.first in subnet for subnet in known)]
        if lost:
            what = f"no node has a NIC on {listed(list(dict.fromkeys(lost)), _NAMED)}, where its addresses belong"
            yield _found(Check.POOL_UNREACHABLE, group, what)


def _cluster_ips(cluster: Cluster, around: Surroundings) -> Iterator[tuple[str, AddressRange]]:
    """The ranges; where the server doesn't tell them, the ClusterIPs that there are."""
    yield from around.cluster_ips
    if not around.cluster_ips:
        for service in cluster.services:
            address = _address(service.cluster_ip or "")
            if address is not None:
                yield str(address), AddressRange(address, address)


def _address(text: str) -> IPAddress | None:
    try:
        return parse_address(text)
    except AddressError:
        return None


def _within(addresses: Iterable[IPAddress], ranges: Iterable[AddressRange]) -> list[IPAddress]:
    known = list(ranges)
    return sorted((one for one in addresses if any(one in there for there in known)), key=int)


def _overlapping(networks: Iterable[tuple[str, AddressRange]], ranges: Iterable[AddressRange]) -> Iterator[str]:
    known = list(ranges)
    return (text for text, network in networks if any(network.overlaps(one) for one in known))


def _found(check: Check, group: Group, what: str) -> Finding:
    return Finding(check, what, edit(group), f"pool {group.name}")
