"""What stands where on the stage: wires with their subnets, the NICs of each node, and the addresses that Services get.

A third of the clusters stand in two subnets with a router between, a third have second NICs on some nodes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Final, Literal, TypeAlias

from lbnodeagent.tables import IfIndex, Mac
from purelb.addresses import IPAddress, IPNetwork

ETH0: Final = IfIndex(2)
LAN1: Final = IfIndex(3)

Segment: TypeAlias = Literal["rack", "other rack", "storage"]
"""A wire: who is on the same one hears the other's ARP."""
SUBNETS: Final[dict[Segment, tuple[IPNetwork, ...]]] = {
    "rack": (ip_network("10.31.0.0/16"), ip_network("fd00:10:31::/64")),
    "other rack": (ip_network("10.32.0.0/16"), ip_network("fd00:10:32::/64")),
    "storage": (ip_network("172.30.0.0/24"),),
}
VIP4: Final = ip_address("10.31.188.64")
VIP6: Final = ip_address("fd00:10:31::1:65")
OTHER4: Final = ip_address("10.32.188.64")
LAN4: Final = ip_address("172.30.0.64")
ROUTED4: Final = (ip_address("10.189.0.2"), ip_address("10.189.0.3"))
"""Of one aggregate."""
ROUTED6: Final = ip_address("fd00:10:189::9")

POOLS: Final[dict[str, dict[str, dict[str, str]]]] = {
    "rack": {
        "v4pool": {"subnet": "10.31.0.0/16", "pool": "10.31.188.64-10.31.188.250", "aggregation": "/32"},
        "v6pool": {"subnet": "fd00:10:31::/64", "pool": "fd00:10:31::1:0-fd00:10:31::1:ffff", "aggregation": "/128"},
    },
    "other-rack": {
        "v4pool": {"subnet": "10.32.0.0/16", "pool": "10.32.188.64-10.32.188.250", "aggregation": "/32"},
    },
    "storage": {
        "v4pool": {"subnet": "172.30.0.0/24", "pool": "172.30.0.64-172.30.0.99", "aggregation": "/32"},
    },
    "routed": {
        "v4pool": {"subnet": "10.189.0.0/24", "pool": "10.189.0.2-10.189.0.99", "aggregation": "default"},
        "v6pool": {"subnet": "fd00:10:189::/64", "pool": "fd00:10:189::9-fd00:10:189::ff", "aggregation": "default"},
    },
}
"""The ServiceGroups."""


@dataclass(frozen=True, slots=True)
class Nic:
    """A network interface with its cable to a wire."""

    index: IfIndex
    name: str
    mac: Mac
    segment: Segment
    own: tuple[IPv4Interface | IPv6Interface, ...]
    """The node's own addresses."""


@dataclass(frozen=True, slots=True)
class Topology:
    """A cluster's machines."""

    nics: dict[str, tuple[Nic, ...]]
    """Of each node, eth0 first."""
    vips: tuple[IPAddress, ...]
    """What its Services get."""

    @property
    def has_second_nics(self) -> bool:
        return any(len(nics) > 1 for nics in self.nics.values())


def one_subnet(size: int, *, has_second_nics: bool = False) -> Topology:
    """Nodes as most clusters have them; with second NICs, all of them have one."""
    nics: dict[str, tuple[Nic, ...]] = {}
    for number in range(1, size + 1):
        nics[f"n{number}"] = (_eth0(number, "rack"), *([_lan1(number)] if has_second_nics else []))
    return Topology(nics, (VIP4, VIP6, ROUTED4[0], ROUTED6, *([LAN4] if has_second_nics else [])))


def topology(chance: random.Random, size: int) -> Topology:
    """``size`` nodes, n1 and so on; the first one is always in the first subnet."""
    kind = chance.choice(("one subnet", "two racks", "second NICs"))
    nics: dict[str, tuple[Nic, ...]] = {}
    for number in range(1, size + 1):
        is_far = kind == "two racks" and number > 1 and chance.random() < 0.5
        of_node = [_eth0(number, "other rack" if is_far else "rack")]
        if kind == "second NICs" and chance.random() < 0.7:
            of_node.append(_lan1(number))
        nics[f"n{number}"] = tuple(of_node)
    more = {"one subnet": (), "two racks": (OTHER4,), "second NICs": (LAN4,)}[kind]
    return Topology(nics, (VIP4, VIP6, ROUTED4[0], chance.choice((ROUTED4[1], ROUTED6)), *more))


def _eth0(number: int, segment: Segment) -> Nic:
    rack = 31 if segment == "rack" else 32
    own = (ip_interface(f"10.{rack}.188.{number}/16"), ip_interface(f"fd00:10:{rack}::{number}/64"))
    return Nic(ETH0, "eth0", _mac(number, ETH0), segment, own)


def _lan1(number: int) -> Nic:
    return Nic(LAN1, "lan1", _mac(number, LAN1), "storage", (ip_interface(f"172.30.0.{number}/24"),))


def _mac(number: int, index: IfIndex) -> Mac:
    return Mac(bytes((0x52, 0x54, 0, 0, index, number)))


def segment_of(vip: IPAddress) -> Segment | None:
    """The wire on whose subnet an address is; None: no node's, it is routed."""
    return next((name for name, subnets in SUBNETS.items() if any(vip in subnet for subnet in subnets)), None)


def subnet_of(vip: IPAddress) -> IPNetwork | None:
    """Likewise, the subnet."""
    return next((subnet for subnets in SUBNETS.values() for subnet in subnets if vip in subnet), None)


def group_of(vip: IPAddress) -> str:
    """The ServiceGroup that an address is of."""
    segment = segment_of(vip)
    return "routed" if segment is None else segment.replace(" ", "-")
