"""Which routes each host of a topology has, as values. Pure.

Owns the ways between subnets, pod networks and the addresses that are routed to the nodes. `network` puts them into a
kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from lab.wire.topology import MAIN_TABLE, ROUTED4, ROUTED6, UPSTREAM, Host, Nic, Role, Topology

Network = IPv4Network | IPv6Network
_DEFAULTS: tuple[Network, ...] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))


@dataclass(frozen=True, slots=True)
class Hop:
    """A gateway and the link that it is on."""

    gateway: IPv4Address | IPv6Address
    link: str


@dataclass(frozen=True, slots=True)
class Route:
    """A destination and the ways there, several of which are balanced over; without any, packets are dropped."""

    destination: Network
    hops: tuple[Hop, ...]
    table: int = MAIN_TABLE
    is_on_link: bool = False
    """Whether the gateway counts as a neighbour although it is on no subnet of the host's."""


def routes_of(topology: Topology, host: Host, *, routes_are_learned: bool) -> list[Route]:
    """All routes of a host but those that its own addresses bring.

    With `routes_are_learned` the router has none to the addresses that are routed to the nodes.
    """
    found = _router_routes(topology, routes_are_learned) if host.role is Role.ROUTER else _upward(topology, host)
    if host.is_node or host.role in (Role.ROUTER, Role.API):
        for node in topology.nodes:
            if node is not host:
                found += _to(topology, host, node, (node.pods4, node.pods6))
            else:  # as Calico has it: what is sent to a pod that is gone must not go back to the router
                found += [Route(net, ()) for net in (node.pods4, node.pods6)]
    return found


def _router_routes(topology: Topology, routes_are_learned: bool) -> list[Route]:
    router = topology.router
    found = []
    if UPSTREAM in router.ipv4.network:
        found.append(Route(_DEFAULTS[0], (Hop(UPSTREAM, router.nics[0].name),)))
    if not routes_are_learned:
        for version, destination in ((4, ROUTED4), (6, ROUTED6)):
            hops = tuple(_hop(*_meeting(router, node), version) for node in topology.routed_nodes)
            found.append(Route(destination, hops))
    return found


def _upward(topology: Topology, host: Host) -> list[Route]:
    """To the router: by default, or without a default route what lies behind it, one by one."""
    own = host.nics[0]
    if host.default_table is not None:
        destinations, table = _DEFAULTS, host.default_table
    else:
        elsewhere = [subnet for subnet in topology.subnets if host.nic_on(subnet) is None]
        destinations, table = tuple(net for subnet in elsewhere for net in (subnet.ipv4, subnet.ipv6)), MAIN_TABLE
        if own.is_alone:
            destinations = (own.subnet.ipv4, own.subnet.ipv6, *destinations)
    found = [_by_router(topology, own, net, table) for net in destinations]
    # Further NICs without neighbours are for what is on their subnet.
    for nic in host.nics[1:]:
        if nic.is_alone:
            found += [_by_router(topology, nic, net, MAIN_TABLE) for net in (nic.subnet.ipv4, nic.subnet.ipv6)]
    return found


def _to(topology: Topology, host: Host, node: Host, destinations: tuple[Network, ...]) -> list[Route]:
    """To what lies behind a node: by its own address where both are on one subnet, else by the router."""
    for nic in host.nics:
        if not nic.is_alone and (there := node.nic_on(nic.subnet)) is not None:
            return [Route(net, (_hop(nic, there, net.version),)) for net in destinations]
    return [_by_router(topology, host.nics[0], net, MAIN_TABLE) for net in destinations]


def _by_router(topology: Topology, nic: Nic, destination: Network, table: int) -> Route:
    there = topology.router.nic_on(nic.subnet)
    assert there is not None, "the router is on every subnet"
    return Route(destination, (_hop(nic, there, destination.version),), table, is_on_link=nic.is_alone)


def _meeting(router: Host, node: Host) -> tuple[Nic, Nic]:
    """The router's NIC and the node's on the node's own subnet."""
    there = node.nics[0]
    here = router.nic_on(there.subnet)
    assert here is not None, "the router is on every subnet"
    return here, there


def _hop(here: Nic, there: Nic, version: int) -> Hop:
    return Hop(there.ipv4.ip if version == 4 else there.ipv6.ip, here.name)
