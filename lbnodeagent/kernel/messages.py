"""What the kernel says of links, addresses and default routes: its rtnetlink messages, parsed, as our values. No I/O.

Which addresses are ours: those that carry our mark, IFA_PROTO (Linux 5.18 on); on an older kernel those that we hold
(holdings.py).
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

from lbnodeagent.kernel.addressmessages import INFINITE, AddressMessage
from lbnodeagent.kernel.adoption import has_signature
from lbnodeagent.kernel.holdings import Holdings
from lbnodeagent.kernel.notifications import AddressGone, AddressSeen, LinkGone, LinkSeen
from lbnodeagent.tables import (
    DUMMY_ALIAS,
    FOREVER,
    DadState,
    DefaultRoute,
    IfIndex,
    Link,
    Mac,
    PresentAddress,
    network_of,
)
from purelb.addresses import Family, IPAddress, IPNetwork

MARK: Final = 80
"""IFA_PROTO of our addresses (RFC-less; 0 to 3 are the kernel's). ``80 purelb`` in rt_addrprotos names it."""

F_NODAD: Final = 0x02
F_NOPREFIXROUTE: Final = 0x200
_F_SECONDARY: Final = 0x01  # IPv4; of IPv6 it says "temporary"
_F_DADFAILED: Final = 0x08
_F_DEPRECATED: Final = 0x20
_F_TENTATIVE: Final = 0x40
_IFF_UP: Final = 0x1
_IFF_LOOPBACK: Final = 0x8
_IFF_NOARP: Final = 0x80
_IFF_LOWER_UP: Final = 0x10000
MAIN_TABLE: Final = 254
_UNICAST: Final = 1


@dataclass(frozen=True, slots=True)
class RoutesChanged:
    """A default route came, went, or may have: read them again."""


@dataclass(frozen=True, slots=True)
class Overrun:
    """The kernel dropped notifications: read everything again."""


Notification: TypeAlias = LinkSeen | LinkGone | AddressSeen | AddressGone | RoutesChanged | Overrun


class MessageReader:
    """Reads messages about addresses, and others as pyroute2 parses them."""

    def __init__(self, holdings: Holdings | None) -> None:
        self._holdings = holdings
        """What we hold, on a kernel that keeps no marks."""
        self.made: set[IfIndex] = set()
        """The dummy interfaces that are of our making."""
        self.own_port = 0
        """The netlink port from which we ask for changes of addresses."""

    def read(self, message: Any, now: float) -> Iterable[Notification]:
        """What a message says; ``now``: monotonic seconds."""
        if isinstance(message, AddressMessage):
            yield from self._of_address(message, now)
            return
        match message.get("event"):
            case "RTM_NEWLINK":
                link = self.link(message)
                if link is not None:
                    yield LinkSeen(link)
                    if not link.is_up:
                        yield RoutesChanged()  # the kernel drops IPv4 routes of a link that goes down in silence
            case "RTM_DELLINK" if message.get("family") == socket.AF_UNSPEC:
                yield LinkGone(IfIndex(message["index"]))
                yield RoutesChanged()
            case "RTM_NEWROUTE" | "RTM_DELROUTE":
                if message["dst_len"] == 0:
                    yield RoutesChanged()

    def _of_address(self, message: AddressMessage, now: float) -> Iterable[Notification]:
        there = self.address(message, now)
        if not message.is_gone:
            yield AddressSeen(there)
            return
        is_own_doing = message.by != 0 and message.by == self.own_port
        yield AddressGone(there.index, there.address, there.prefix_length, message.by, is_own_doing)
        if not there.is_ours:
            yield RoutesChanged()  # the kernel drops those that used it as their source in silence too

    def link(self, message: Any) -> Link | None:
        if message.get("family") != socket.AF_UNSPEC:
            return None  # a bridge's view of its port
        info = message.get_attr("IFLA_LINKINFO")
        mac = message.get_attr("IFLA_ADDRESS") or ""
        flags = message["flags"]
        link = Link(
            index=IfIndex(message["index"]),
            name=message.get_attr("IFLA_IFNAME"),
            kind=info.get_attr("IFLA_INFO_KIND") if info is not None else None,
            mac=Mac(bytes.fromhex(mac.replace(":", ""))) if len(mac) == 17 else None,
            is_up=bool(flags & _IFF_UP),
            has_carrier=bool(flags & _IFF_LOWER_UP),
            is_loopback=bool(flags & _IFF_LOOPBACK),
            has_neighbours=not flags & _IFF_NOARP,
            alias=message.get_attr("IFLA_IFALIAS") or "",
        )
        if link.alias == DUMMY_ALIAS:
            self.made.add(link.index)
        return link

    def address(self, message: AddressMessage, now: float) -> PresentAddress:
        address, flags, index = message.address, message.flags, message.index
        no_prefix_route = bool(flags & F_NOPREFIXROUTE)
        if self._holdings is None:
            is_ours, looks_ours = message.proto == MARK, False
        else:
            label = message.label if address.version == 4 else None
            is_ours = self._holdings.claims((index, address, message.prefix_length), label)
            looks_ours = has_signature(
                address,
                is_on_made=index in self.made,
                no_prefix_route=no_prefix_route,
                preferred=message.preferred,
                valid=message.valid,
            )
        return PresentAddress(
            index=index,
            address=address,
            prefix_length=message.prefix_length,
            is_ours=is_ours,
            looks_ours=looks_ours,
            is_secondary=address.version == 4 and bool(flags & _F_SECONDARY),
            no_prefix_route=no_prefix_route,
            is_usable=not flags & (_F_TENTATIVE | _F_DADFAILED | _F_DEPRECATED),
            expires=FOREVER if message.valid == INFINITE else now + message.valid,
            dad=_dad_state(flags) if address.version == 6 else "done",
        )


def _dad_state(flags: int) -> DadState:
    if flags & _F_DADFAILED:
        return "failed"
    return "running" if flags & _F_TENTATIVE else "done"


def default_route(message: Any) -> DefaultRoute | None:
    """The default route that a message stands for; None for any other route."""
    if message["dst_len"] != 0 or message["type"] != _UNICAST or not _is_in_main_table(message):
        return None
    hops = message.get_attr("RTA_MULTIPATH")
    indexes = [hop["oif"] for hop in hops] if hops else [message.get_attr("RTA_OIF")]
    gateways = [_gateway(hop) for hop in hops or [message]]
    return DefaultRoute(
        family=Family.IPV4 if message["family"] == socket.AF_INET else Family.IPV6,
        metric=message.get_attr("RTA_PRIORITY") or 0,
        interfaces=tuple(IfIndex(index) for index in indexes if index),
        gateways=tuple(gateway for gateway in gateways if gateway is not None),
    )


def marked_route(message: Any) -> tuple[IfIndex, IPNetwork] | None:
    """Where to our route leads, and for what; None for any other route."""
    index, destination = message.get_attr("RTA_OIF"), message.get_attr("RTA_DST")
    if message["proto"] != MARK or not index or not destination or not _is_in_main_table(message):
        return None
    return IfIndex(index), network_of(ip_address(destination), message["dst_len"])


def _is_in_main_table(message: Any) -> bool:
    table = message.get_attr("RTA_TABLE")
    return bool((message["table"] if table is None else table) == MAIN_TABLE)


def _gateway(hop: Any) -> IPAddress | None:
    """Where a route, or one of its ways, leads to: RTA_GATEWAY, or RTA_VIA of another family than the route's."""
    text = hop.get_attr("RTA_GATEWAY")
    via = hop.get_attr("RTA_VIA") if text is None else None
    text = via["addr"] if via else text
    return ip_address(text) if text else None


def neighbour(message: Any) -> tuple[IPAddress, Mac] | None:
    """Who has which address beside an interface of ours; None while the kernel doesn't know (RTM_NEWNEIGH)."""
    address, mac = message.get("dst"), message.get("lladdr")
    if not address or not mac or mac.count(":") != 5:
        return None
    return ip_address(address), Mac(bytes.fromhex(mac.replace(":", "")))
