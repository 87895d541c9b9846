"""What no agent does (docs/invariants.md), seen from outside: by what nodes' kernels have, rule by rule. Pure.

It takes the names of the rules from the agent and nothing else: what the agent thinks of an action is not asked. Chaos
and the stage say what is there, and tell of each rule whether it was broken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Final, Literal, TypeAlias, get_args

from lbnodeagent.dataplane.invariants import Rule
from purelb.addresses import IPAddress, IPNetwork

Law: TypeAlias = Rule | Literal["untold"]
"""A rule, or that a VIP which no node has is told of."""
LAWS: Final[tuple[Law, ...]] = (*get_args(Rule), "untold")
_SPECIAL: Final = tuple(
    map(ip_network, ("0.0.0.0/32", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8"))
)
"""Of no single host (RFC 6890, RFC 4291)."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An address that PureLB put on an interface."""

    node: str
    interface: str
    address: IPAddress
    prefix_length: int

    @property
    def network(self) -> IPNetwork:
        return ip_network((self.address, self.prefix_length), strict=False)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was there, and what is known of the cluster."""

    placed: Collection[Placed] = ()
    hosts: Mapping[IPAddress, str] = field(default_factory=dict)
    """Addresses that nodes, routers and other hosts have, with whose they are."""
    given: Collection[IPAddress] = ()
    """What Services were ever given."""
    nics: Mapping[str, Sequence[tuple[str, IPNetwork]]] = field(default_factory=dict)
    """By node: its NICs, each with a subnet that is connected there."""
    removed: Iterable[str] = ()
    """What PureLB took away that wasn't its own, one sentence each."""
    unsaid: Iterable[str] = ()
    """The VIPs that no node has and nobody speaks of."""


def _is_broadcast(address: IPAddress, network: IPNetwork) -> bool:
    return address.version == 4 and network.prefixlen < 31 and address == network.broadcast_address


def breaches(seen: Seen) -> dict[Law, list[str]]:
    """Each law, with a sentence for each time that it was broken."""
    found: dict[Law, list[str]] = {law: [] for law in LAWS}
    for one in seen.placed:
        what = f"{one.address}/{one.prefix_length} on {one.interface} of {one.node}"
        if one.address in seen.hosts:
            found["forbidden-address"].append(f"{what} is {seen.hosts[one.address]}'s")
        if one.address not in seen.given:
            found["not-given"].append(f"{what} was given to no Service")
        if any(one.address in special for special in _SPECIAL if special.version == one.address.version):
            found["no-single-host"].append(f"{what} is no host's")
        subnets = seen.nics.get(one.node, ())
        if any(interface == one.interface and _is_broadcast(one.address, network) for interface, network in subnets):
            found["no-single-host"].append(f"{what} is for broadcasts")
        if one.prefix_length < one.address.max_prefixlen:
            found["shadows-subnet"] += [
                f"{what} takes traffic from {network} on {interface}"
                for interface, network in subnets
                if interface != one.interface and network.version == one.address.version
                if network.overlaps(one.network)
            ]
    found["not-ours"] += seen.removed
    found["untold"] += (f"nobody has {vip}, and nobody says why" for vip in seen.unsaid)
    return found
