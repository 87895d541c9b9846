"""Which subnets of VIPs need a way of their own for answers, and which way that is. Pure.

A subnet needs one if its NIC isn't the one of the node's default route. Its router is the one that the LBNodeAgent
names; else the one of the NIC's own default route in the main table, which DHCP, router advertisements and network
programs add with a higher metric. Where neither is known there is no way, and a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lbnodeagent.kernel.interfaces import NicSubnet
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import DefaultRoute, IfIndex
from purelb.addresses import IPAddress, IPNetwork, family_of
from purelb.returnpath import ReturnPath

TABLES: Final = 79340
"""Routing tables of ours are the numbers behind it: beyond those that people and programs choose."""
TABLES_MOST: Final = 7


@dataclass(frozen=True, slots=True)
class Way:
    """By which answers of a subnet's VIPs leave."""

    network: IPNetwork
    index: IfIndex
    interface: str
    gateway: IPAddress
    own: tuple[IPAddress, ...]
    """The node's own addresses there: what comes in for them is none of our business."""
    number: int
    """From 1, of its family."""
    mark: int
    """What its connections carry of ``mask``."""
    mask: int

    @property
    def table(self) -> int:
        """The routing table that it has."""
        return TABLES + self.number


@dataclass(frozen=True, slots=True)
class ReturnWays:
    """All there are to be on this node."""

    ways: tuple[Way, ...] = ()
    refused: tuple[str, ...] = ()
    """Why a subnet that needs one has none, a clause for each."""


def ways_of(wanted: ReturnPath | None, subnets: Iterable[NicSubnet], present: Present) -> ReturnWays:
    """The ways of the subnets on which this node announces; ``wanted`` None: none."""
    if wanted is None:
        return ReturnWays()
    marks = wanted.marks
    ways: list[Way] = []
    refused: list[str] = []
    for subnet in subnets:
        if not subnet.has_carrier:
            continue
        named = next((gateway for gateway in wanted.gateways if gateway in subnet.network), None)
        if named is None and _is_way_out(subnet, present):
            continue
        gateway = named or _own_gateway(subnet, present)
        its = f"{subnet.network} on {subnet.interface}"
        number = 1 + sum(way.network.version == subnet.network.version for way in ways)
        if gateway is None:
            refused.append(
                f"no router of {its} is known: the interface has no default route in the main table, and "
                "local.returnPath.gateways names none"
            )
        elif number > len(marks):
            refused.append(
                f"{its} is one subnet too many: {len(wanted.mark_bits)} of local.returnPath.markBits tell "
                f"{len(marks)} apart"
            )
        else:
            own = sorted(there.address for there in present.foreign(subnet.index) if there.address in subnet.network)
            mark, mask = marks[number - 1], marks[-1]
            ways.append(Way(subnet.network, subnet.index, subnet.interface, gateway, tuple(own), number, mark, mask))
    return ReturnWays(tuple(ways), tuple(refused))


def _is_way_out(subnet: NicSubnet, present: Present) -> bool:
    """Whether the node's default route is by that NIC alone."""
    routes = present.default_routes(family_of(subnet.network))
    best = {index for route in routes if route.metric == routes[0].metric for index in route.interfaces}
    return best == {subnet.index}


def _own_gateway(subnet: NicSubnet, present: Present) -> IPAddress | None:
    """Of the NIC's best default route; one on the subnet goes before others, where it is on several."""
    routes = present.default_routes(family_of(subnet.network))
    its = [gateway for route in routes if (gateway := _by(subnet.index, route)) is not None]
    return next((gateway for gateway in its if gateway in subnet.network), its[0] if its else None)


def _by(index: IfIndex, route: DefaultRoute) -> IPAddress | None:
    """The router to which a route leads by an interface; one of several ways without a router isn't told apart."""
    if index not in route.interfaces or len(route.gateways) != len(route.interfaces):
        return None
    return route.gateways[route.interfaces.index(index)]
