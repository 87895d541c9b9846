"""The subnets of this node's interfaces, and its own addresses on them, ours never among them. Pure.

``now`` is monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lbnodeagent.kernel.interfaces import IPVS_INTERFACE, POD_INTERFACES
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import IfIndex, Link
from purelb.addresses import IPAddress, IPNetwork

PATIENCE: Final = 60.0
"""Seconds for which a subnet is remembered that its interface, which is up, no longer has: DHCP may bring it back."""

DUMMY_KINDS: Final = ("dummy", "ifb")
"""Of which ours is, by whichever name; kube-proxy and kube-router keep VIPs on such ones too."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A subnet that an interface of this node is on by an address that isn't ours."""

    network: IPNetwork
    index: IfIndex
    interface: str


def connected_subnets(present: Present, dummy: str) -> tuple[Connected, ...]:
    """The subnets of this node's interfaces, also pods' ones; not those of dummy interfaces, behind which nobody is."""
    subnets: dict[Connected, None] = {}
    for link in present.links.values():
        if link.name in (dummy, IPVS_INTERFACE) or link.is_loopback or _is_dummy(link):
            continue
        for there in present.foreign(link.index):
            if there.prefix_length < there.address.max_prefixlen and not there.address.is_link_local:
                subnets[Connected(there.network, link.index, link.name)] = None
    return tuple(subnets)


class ConnectedSubnets:
    """Which there are, and those whose interface is down: programs take a NIC's addresses while it has no cable."""

    def __init__(self) -> None:
        self.known: tuple[Connected, ...] = ()
        self._missing: dict[Connected, float] = {}
        """Since when each is missing though its interface is up, or there no more."""

    def look(self, present: Present, dummy: str, now: float) -> None:
        """Links or addresses may have changed, or time has passed."""
        there = connected_subnets(present, dummy)
        gone = dict.fromkeys([*self.known, *self._missing])
        for one in there:
            gone.pop(one, None)
        self._missing = {
            one: now if _is_down(present.links.get(one.index)) else self._missing.get(one, now)
            for one in gone
            if one.interface != dummy
        }
        for one in [one for one, since in self._missing.items() if now - since >= PATIENCE]:
            del self._missing[one]
        self.known = (*there, *self._missing)


def _is_down(link: Link | None) -> bool:
    return link is not None and not (link.is_up and link.has_carrier)


def interface_with(vip: IPAddress, present: Present, dummy: str) -> str | None:
    """The NIC on which the node itself has ``vip``: somebody else put it there.

    Interfaces without neighbours don't count: kube-proxy (ipvs), kube-router and others keep every VIP on one.
    """
    return next((link.name for link in _with_foreign(vip, present) if _is_nic(link, dummy)), None)


def has_itself(address: IPAddress, present: Present, dummy: str) -> bool:
    """Whether somebody else put ``address`` on a NIC, or on the loopback interface, as on nodes that speak BGP."""
    return any(link.is_loopback or _is_nic(link, dummy) for link in _with_foreign(address, present))


def _with_foreign(address: IPAddress, present: Present) -> Iterator[Link]:
    links = (present.links.get(there.index) for there in present.at(address) if not there.is_ours)
    return (link for link in links if link is not None)


def own_addresses(present: Present, dummy: str) -> frozenset[IPAddress]:
    """The IPv4 addresses that are this node's for sure, as far as its kernel tells.

    What another load balancer left looks like one: it is secondary in its subnet, or has the host prefix. Of IPv6 the
    kernel can't tell; there the Node object does, and duplicate address detection.
    """
    return frozenset(
        there.address
        for link in present.links.values()
        if _is_nic(link, dummy) and not link.name.startswith(POD_INTERFACES)
        for there in present.foreign(link.index)
        if there.address.version == 4
        and there.is_usable
        and not (there.is_secondary or there.looks_ours or there.address.is_link_local)
        and there.prefix_length < there.address.max_prefixlen
    )


def _is_dummy(link: Link) -> bool:
    """Whether there is nothing behind an interface, as tunnels have it, which know no neighbours either."""
    return link.kind in DUMMY_KINDS and not link.has_neighbours


def _is_nic(link: Link, dummy: str) -> bool:
    return link.has_neighbours and not link.is_loopback and link.name not in (dummy, IPVS_INTERFACE)
