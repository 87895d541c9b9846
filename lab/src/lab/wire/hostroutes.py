"""Which routes each host of a topology has, as values. Pure.

Owns the ways between subnets, pod networks and the addresses that are routed to the nodes. `network` puts them into a
kernel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from lab.wire.topology import MAIN_TABLE, ROUTED4, ROUTED6, UPSTREAM, Address, Host, Network, Nic, Role, Topology

_DEFAULTS: tuple[Network, ...] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))


@dataclass(frozen=True, slots=True)
class Hop:
    """A gateway and the link that it is on."""

    gateway: Address
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
                found += [route for net in node.pods for route in _to(topology, host, node, net)]
            else:  # as Calico has it: what is sent to a pod that is gone must not go back to the router
                found += [Route(net, ()) for net in node.pods]
    return found


def _router_routes(topology: Topology, routes_are_learned: bool) -> list[Route]:
    router = topology.router
    found = []
    if router.ipv4 is not None and UPSTREAM in router.ipv4.network:
        found.append(Route(_DEFAULTS[0], (Hop(UPSTREAM, router.nics[0].name),)))
    if not routes_are_learned:
        for destination in (ROUTED4, ROUTED6):
            ways = [_neighbour(router, node.nics[:1], destination.version) for node in topology.routed_nodes]
            if hops := tuple(hop for hop in ways if hop is not None):
                found.append(Route(destination, hops))
    return found


def _upward(topology: Topology, host: Host) -> list[Route]:
    """To the router: by default, or without a default route what lies behind it, one by one."""
    own = host.nics[0]
    if host.default_table is not None:
        destinations, table = _DEFAULTS, host.default_table
    else:
        elsewhere = [subnet for subnet in topology.subnets if host.nic_on(subnet) is None]
        destinations, table = tuple(net for subnet in elsewhere for net in subnet.networks), MAIN_TABLE
        if own.is_alone:
            destinations = (*own.subnet.networks, *destinations)
    found = [route for net in destinations for route in _by_router(topology, host.nics, net, table)]
    # Further NICs without neighbours are for what is on their subnet.
    for nic in host.nics[1:]:
        if nic.is_alone:
            found += [route for net in nic.subnet.networks for route in _by_router(topology, [nic], net, MAIN_TABLE)]
    return found


def _to(topology: Topology, host: Host, node: Host, destination: Network) -> list[Route]:
    """To what lies behind a node: by its own address where both are on one subnet, else by the router."""
    hop = _neighbour(host, node.nics, destination.version)
    if hop is not None:
        return [Route(destination, (hop,))]
    return _by_router(topology, host.nics, destination, MAIN_TABLE)


def _by_router(topology: Topology, nics: Iterable[Nic], destination: Network, table: int) -> list[Route]:
    """By the first of these NICs that has an address of the family; no route without one."""
    for nic in nics:
        there = topology.router.nic_on(nic.subnet)
        gateway = there.ip(destination.version) if there is not None else None
        if gateway is not None and nic.ip(destination.version) is not None:
            return [Route(destination, (Hop(gateway, nic.name),), table, is_on_link=nic.is_alone)]
    return []


def _neighbour(host: Host, theirs: Iterable[Nic], version: int) -> Hop | None:
    """The way to another host by the first subnet on which both have an address of the family."""
    on_subnet = {nic.subnet: nic for nic in theirs}
    for nic in host.nics:
        there = on_subnet.get(nic.subnet)
        gateway = there.ip(version) if there is not None else None
        if gateway is not None and nic.ip(version) is not None and not nic.is_alone:
            return Hop(gateway, nic.name)
    return None
