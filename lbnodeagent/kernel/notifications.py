"""What the kernel notifies of, as values: links, addresses and default routes that came, went or changed. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from lbnodeagent.tables import DefaultRoute, IfIndex, Link, PresentAddress
from purelb.addresses import IPAddress, IPNetwork


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """A link is so now."""

    link: Link


@dataclass(frozen=True, slots=True)
class LinkGone:
    """A link is no more, and its addresses with it."""

    index: IfIndex


@dataclass(frozen=True, slots=True)
class AddressSeen:
    """An address is so now."""

    address: PresentAddress


@dataclass(frozen=True, slots=True)
class AddressGone:
    """An address is no more."""

    index: IfIndex
    address: IPAddress
    prefix_length: int
    by: int = 0
    """The netlink port of who asked for it (netlink(7)), often its process id; 0: the kernel, or unknown."""
    is_own_doing: bool = False
    """Whether a request of ours made it go, be it one about its primary."""


@dataclass(frozen=True, slots=True)
class RoutesRead:
    """The default routes are these now."""

    routes: tuple[DefaultRoute, ...]


@dataclass(frozen=True, slots=True)
class Dump:
    """Everything, at one moment: at the start, and when notifications were lost."""

    links: tuple[Link, ...]
    addresses: tuple[PresentAddress, ...]
    routes: tuple[DefaultRoute, ...]
    marked_routes: tuple[tuple[IfIndex, IPNetwork], ...] = ()
    """The routes with our mark; read at the start only."""


Change: TypeAlias = LinkSeen | LinkGone | AddressSeen | AddressGone | RoutesRead | Dump
