"""What no agent does, whatever it was told and by whom: all placing and removing goes through here. Pure.

The rules are few, and stand on their own: they hold also when the planner, the allocator, another controller or a
tenant is wrong. Their reasons, one by one: docs/invariants.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lbnodeagent.kernel.connected import Connected
from lbnodeagent.tables import Action, AddressKey, AddRoute, IfIndex, Place, Remove, network_of
from purelb.addresses import IPAddress, IPNetwork, is_reserved

Rule: TypeAlias = Literal["forbidden-address", "not-given", "shadows-subnet", "not-ours", "no-single-host"]
"""By which a refusal is counted."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at, of the VIPs in question."""

    forbidden: Mapping[IPAddress, str] = field(default_factory=dict)
    """Those that are somebody's, each with whose: "node w11's address", "the gateway of this node"."""
    given: frozenset[IPAddress] = frozenset()
    """Those that our allocator gave, or that an earlier run of this agent left."""
    connected: tuple[Connected, ...] = ()
    ours: frozenset[AddressKey] = frozenset()
    """Where they sit and provably carry our mark."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An action that isn't done, and why, in one sentence for the user."""

    vip: IPAddress
    interface: str
    rule: Rule
    reason: str


def refusal_of(action: Action, facts: Facts) -> Refusal | None:
    """Why ``action`` must not be done; None: nothing speaks against it."""
    match action:
        case Place(vip, spot):
            return _refusal_of_place(vip, spot.index, spot.interface, spot.prefix_length, spot.is_local, facts)
        case Remove(vip, index, interface, prefix_length):
            if (index, vip, prefix_length) in facts.ours:
                return None
            return Refusal(vip, interface, "not-ours", f"{vip} on {interface} carries no mark of PureLB's")
        case AddRoute(index, network):
            return _refusal_of_route(network[0], network, index, "the dummy interface", facts)
        case _:
            return None  # the dummy interface itself: planner and kernel know whether it is ours


def _refusal_of_place(
    vip: IPAddress, index: IfIndex, interface: str, prefix_length: int, is_local: bool, facts: Facts
) -> Refusal | None:
    if vip not in facts.given:
        return Refusal(vip, interface, "not-given", f"{vip} was not given by PureLB's allocator")
    whose = facts.forbidden.get(vip)
    if whose is not None:
        return Refusal(vip, interface, "forbidden-address", f"{vip} is {whose}: take it out of the pool")
    if is_reserved(vip):  # RFC 6890's special ranges
        return Refusal(vip, interface, "no-single-host", f"{vip} is no address of a single host")
    network = network_of(vip, prefix_length)
    if is_local and is_broadcast(vip, network):
        reason = f"{vip} is the broadcast address of {network}, the subnet of {interface}: take it out of the pool"
        return Refusal(vip, interface, "no-single-host", reason)
    return None if is_local else _refusal_of_route(vip, network, index, interface, facts)


def _refusal_of_route(
    vip: IPAddress, network: IPNetwork, index: IfIndex, interface: str, facts: Facts
) -> Refusal | None:
    shadowed = shadowed_by(network, index, facts.connected)
    if shadowed is None:
        return None
    return Refusal(
        vip,
        interface,
        "shadows-subnet",
        f"{network} on {interface} would take traffic from {shadowed.network}, the subnet of "
        f"{shadowed.interface}: name that interface in the LBNodeAgent's localInterface or interfaces, or use a pool "
        "of another subnet, or the aggregation /32 or /128",
    )


def shadowed_by(network: IPNetwork, index: IfIndex, connected: Iterable[Connected]) -> Connected | None:
    """The connected subnet of another interface that a route to ``network`` by interface ``index`` would cut into.

    A host prefix leads nobody but the VIP itself astray.
    """
    if network.prefixlen == network.max_prefixlen:
        return None
    return next(
        (
            other
            for other in connected
            if other.index != index and other.network.version == network.version and other.network.overlaps(network)
        ),
        None,
    )


def is_broadcast(vip: IPAddress, network: IPNetwork) -> bool:
    """Whether no host on a NIC's subnet can have ``vip`` (RFC 919), nor ask for it."""
    return vip.version == 4 and network.prefixlen < 31 and vip == network.broadcast_address
