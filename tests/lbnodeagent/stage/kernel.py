"""A node's kernel as far as addresses go, in virtual time: what rtnetlink does and notifies of, and what it refuses.

It behaves as Linux does: lifetimes that end, IPv4 secondaries that go with their primary unless promote_secondaries is
set, duplicate address detection, IPv6 addresses that go when their interface is set down. What no agent may do to it is
noted as a violation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, IPv6Interface
from typing import TypeAlias, assert_never

from lbnodeagent.kernel import order
from lbnodeagent.kernel.notifications import AddressGone, AddressSeen, Dump, LinkGone, LinkSeen, RoutesRead
from lbnodeagent.tables import (
    DUMMY_ALIAS,
    FOREVER,
    Action,
    AddressKey,
    AddRoute,
    CreateDummy,
    DefaultRoute,
    DeleteDummy,
    DeleteRoute,
    Done,
    IfIndex,
    Link,
    Outcome,
    Place,
    PresentAddress,
    Refused,
    Remove,
    SetUp,
)
from purelb.addresses import IPAddress, IPNetwork, family_of
from tests.lbnodeagent.stage.topology import ETH0, Nic

EEXIST = "File exists (EEXIST)"
DETECTION = 1.0
"""Seconds that duplicate address detection takes."""
ROUTE = 0.005
"""Seconds until an IPv6 address that isn't detected has its route, and answers."""
STRANGER = 4711
"""The netlink port of whoever else changes addresses here."""
News: TypeAlias = LinkSeen | LinkGone | AddressSeen | AddressGone | RoutesRead
"""What it notifies of; that default routes changed stands for reading them."""


@dataclass(slots=True)
class FakeKernel:
    """One boot of one node."""

    nics: tuple[Nic, ...]
    """Each with the node's own addresses there."""
    is_elsewhere: Callable[[IfIndex, IPAddress], bool]
    """Whether another host on the wire of a NIC has an address: asked by duplicate address detection."""
    links: dict[IfIndex, Link] = field(default_factory=dict)
    addresses: dict[AddressKey, PresentAddress] = field(default_factory=dict)
    """In the order in which they came: of IPv4 ones of a subnet, the first is the primary."""
    routes: set[tuple[IfIndex, IPNetwork]] = field(default_factory=set)
    """Those with our mark."""
    violations: list[str] = field(default_factory=list)
    expired: list[IPAddress] = field(default_factory=list)
    """Addresses of ours that nobody renewed in time."""
    refusals: int = 0
    """So many requests for addresses are refused from now on."""
    refused: bool = False
    """Whether any was."""
    promotes: set[IfIndex] = field(default_factory=set)
    _detections: dict[AddressKey, tuple[float, bool]] = field(default_factory=dict)
    news: list[News] = field(default_factory=list)
    """What wasn't taken yet: without any no deadline changed either."""
    gateway: IPAddress | None = None
    _defaults: tuple[DefaultRoute, ...] = ()
    _next_index: int = 10

    def boot(self) -> None:
        """What the node's own network configuration sets up."""
        for nic in self.nics:
            self.links[nic.index] = Link(nic.index, nic.name, mac=nic.mac)
        self.give_own()
        self.take_news()

    def give_own(self) -> None:
        """The node's own addresses are there, those that are already included."""
        for nic in self.nics:
            for one in nic.own:
                self.add_foreign(one, nic.index)

    # --- what an agent sees ------------------------------------------------------------------------------------------

    def dump(self) -> Dump:
        return Dump(
            tuple(self.links.values()), tuple(self.addresses.values()), self.default_routes(), tuple(self.routes)
        )

    def take_news(self) -> list[News]:
        """What is notified of, once."""
        news, self.news = self.news, []
        routes = self.default_routes()
        if routes != self._defaults:
            self._defaults = routes
            news.append(RoutesRead(routes))
        return news

    def answers_on(self, vip: IPAddress) -> Nic | None:
        """The NIC where the address answers on the wire."""
        for nic in self.nics:
            if self.is_live(nic.index) and any(
                there.index == nic.index and there.address == vip and there.dad == "done"
                for there in self.addresses.values()
            ):
                return nic
        return None

    def has(self, vip: IPAddress) -> bool:
        """Whether the address answers on a wire."""
        return self.answers_on(vip) is not None

    def has_routed(self, vip: IPAddress) -> bool:
        """Whether the address is on a dummy interface of ours, which is up."""
        return any(
            there.address == vip and self.links[there.index].alias == DUMMY_ALIAS and self.links[there.index].is_up
            for there in self.addresses.values()
        )

    def is_live(self, index: IfIndex) -> bool:
        """Whether an interface is up and has a cable."""
        link = self.links[index]
        return link.is_up and link.has_carrier

    def is_on(self, index: IfIndex, network: IPNetwork) -> bool:
        """Whether the node has an address of its own, or an operator's, in this subnet."""
        return any(
            there.index == index and not there.is_ours and there.is_usable and there.network == network
            for there in self.addresses.values()
        )

    def default_routes(self) -> tuple[DefaultRoute, ...]:
        """One of each family for which eth0 has its address, while it is up."""
        if not self.links[ETH0].is_up:
            return ()
        there = (one for one in self.nics[0].own if (ETH0, one.ip, one.network.prefixlen) in self.addresses)
        return tuple(
            DefaultRoute(family_of(one.ip), 100, (ETH0,), gateways=() if self.gateway is None else (self.gateway,))
            for one in there
        )

    # --- what an agent asks for --------------------------------------------------------------------------------------

    def execute(self, actions: Iterable[Action], now: float) -> list[Outcome]:
        return [self._execute(action, now) for action in actions]

    def _execute(self, action: Action, now: float) -> Outcome:
        match action:
            case Place() | Remove() if self.refusals:
                self.refusals -= 1
                self.refused = True
                return Refused(action, "Cannot allocate memory (ENOMEM)")
            case Place():
                return self._place(action, now)
            case Remove(vip, index, _, prefix_length):
                there = self.addresses.get((index, vip, prefix_length))
                if there is None:
                    return Done(action)
                if not there.is_ours:
                    self.violations.append(f"an address that isn't ours was to be removed: {vip}")
                    return Refused(action, "not ours")
                self.promotes |= order.to_promote_on([action])
                self.delete((index, vip, prefix_length), own_doing=True)
                return Done(action)
            case CreateDummy(name):
                if any(link.name == name for link in self.links.values()):
                    return Refused(action, EEXIST)
                index = IfIndex(self._next_index)
                self._next_index += 1
                self.links[index] = Link(index, name, "dummy", has_neighbours=False, alias=DUMMY_ALIAS)
                self.news.append(LinkSeen(self.links[index]))
                return Done(action)
            case SetUp(index):
                self.set_link(index, is_up=True)
                return Done(action)
            case DeleteDummy(index):
                self.delete_link(index, own_doing=True)
                return Done(action)
            case AddRoute(index, network):
                if index not in self.links:
                    return Refused(action, "No such device (ENODEV)")
                if network.version == 4:
                    self.promotes.add(index)
                self.routes.add((index, network))
                return Done(action)
            case DeleteRoute(index, network):
                self.routes.discard((index, network))
                return Done(action)
            case _:
                assert_never(action)

    def _place(self, place: Place, now: float) -> Outcome:
        vip, spot = place.vip, place.spot
        key = (spot.index, vip, spot.prefix_length)
        before = self.addresses.get(key)
        link = self.links.get(spot.index)
        if link is None:
            return Refused(place, "No such device (ENODEV)")
        if vip.version == 6 and not link.is_up:
            return Refused(place, "Permission denied (EACCES)")
        if before is not None and not place.is_renewal:
            return Refused(place, EEXIST)
        if before is not None and not before.is_ours:
            self.violations.append(f"an address that isn't ours was taken over: {vip}")
        lifetime = spot.addressing.valid_lifetime
        expires = now + lifetime - 2 if lifetime else FOREVER
        if before is not None:
            self.addresses[key] = replace(before, expires=expires)
            self.news.append(AddressSeen(self.addresses[key]))
            return Done(place, self.addresses[key])
        is_ipv6 = vip.version == 6
        there = PresentAddress(
            spot.index,
            vip,
            spot.prefix_length,
            is_ours=True,
            no_prefix_route=spot.addressing.no_prefix_route,
            is_usable=False,
            expires=expires,
            dad="running" if is_ipv6 else "done",
        )
        if is_ipv6:
            detects = place.detects_duplicates
            self._detections[key] = (now + (DETECTION if detects else ROUTE), detects)
        self._set(there)
        return Done(place, replace(self.addresses[key], is_secondary=True))

    # --- what happens to it ------------------------------------------------------------------------------------------

    def _set(self, there: PresentAddress) -> None:
        key = (there.index, there.address, there.prefix_length)
        if there.address.version == 4:
            there = replace(there, is_secondary=bool(self._of_subnet(there)))
        self.addresses[key] = there
        self.news.append(AddressSeen(there))

    def _of_subnet(self, there: PresentAddress) -> list[PresentAddress]:
        """The other IPv4 addresses of its subnet, in their order."""
        return [
            other
            for other in self.addresses.values()
            if other.index == there.index
            and other.address.version == 4
            and other.address != there.address
            and other.prefix_length == there.prefix_length
            and other.network == there.network
        ]

    def add_foreign(self, address: IPv4Interface | IPv6Interface, index: IfIndex, *, looks_ours: bool = False) -> None:
        """Somebody else adds an address; one that looks as PureLB's own once did is deprecated and has no route."""
        there = PresentAddress(index, address.ip, address.network.prefixlen)
        if (index, there.address, there.prefix_length) not in self.addresses:
            self._set(replace(there, no_prefix_route=looks_ours, is_usable=not looks_ours))

    def remove_foreign(self, address: IPv4Interface | IPv6Interface, index: IfIndex) -> None:
        """Somebody else takes it away again."""
        key = (index, address.ip, address.network.prefixlen)
        if key in self.addresses:
            self.delete(key)

    def delete(self, key: AddressKey, *, own_doing: bool = False, by: int = STRANGER) -> None:
        """An address goes, of IPv4 with its secondaries or, where that is set, in favour of the first of them."""
        there = self.addresses.pop(key)
        self._detections.pop(key, None)
        self._gone(there, own_doing, by)
        if there.address.version == 6 or there.is_secondary:
            return
        secondaries = [other for other in self._of_subnet(there) if other.is_secondary]
        if there.index in self.promotes and secondaries:
            first = secondaries[0]
            promoted = replace(first, is_secondary=False)
            self.addresses[first.index, first.address, first.prefix_length] = promoted
            self.news.append(AddressSeen(promoted))
            return
        for other in secondaries:
            del self.addresses[other.index, other.address, other.prefix_length]
            self._gone(other, own_doing, by)
            if own_doing and not other.is_ours:
                self.violations.append(f"{other.address}, which isn't ours, went with {there.address}")

    def _gone(self, there: PresentAddress, own_doing: bool, by: int) -> None:
        gone = AddressGone(there.index, there.address, there.prefix_length, 0 if own_doing else by, own_doing)
        self.news.append(gone)

    def set_link(self, index: IfIndex, *, is_up: bool | None = None, has_carrier: bool | None = None) -> None:
        """An interface changes; one that is set down loses its IPv6 addresses."""
        before = self.links[index]
        is_up = before.is_up if is_up is None else is_up
        carrier = before.has_carrier if has_carrier is None else has_carrier
        self.links[index] = replace(before, is_up=is_up, has_carrier=carrier)
        if before == self.links[index]:
            return
        self.news.append(LinkSeen(self.links[index]))
        if before.is_up and not is_up:
            for key in [key for key in self.addresses if key[0] == index and key[1].version == 6]:
                self.delete(key, by=0)

    def delete_link(self, index: IfIndex, *, own_doing: bool = False) -> None:
        """An interface goes with its addresses."""
        for key, there in list(self.addresses.items()):
            if key[0] == index:
                if own_doing and not there.is_ours:
                    self.violations.append(f"{there.address}, which isn't ours, went with its interface")
                del self.addresses[key]
                self._detections.pop(key, None)
                self._gone(there, own_doing, 0)
        self.routes = {route for route in self.routes if route[0] != index}
        if self.links.pop(index, None) is not None:
            self.news.append(LinkGone(index))

    # --- time --------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When something happens by itself."""
        expiries = (there.expires for there in self.addresses.values())
        return min((*expiries, *(at for at, _ in self._detections.values())), default=FOREVER)

    def tick(self, now: float) -> None:
        """Lifetimes end, detections too."""
        for key, (at, detects) in list(self._detections.items()):
            if at <= now:
                del self._detections[key]
                self._detected(key, is_duplicate=detects and self.is_elsewhere(key[0], key[1]))
        for key, there in list(self.addresses.items()):
            if there.expires <= now and key in self.addresses:
                self.expired.append(there.address)
                self.delete(key, by=0)

    def _detected(self, key: AddressKey, *, is_duplicate: bool) -> None:
        there = self.addresses[key]
        if is_duplicate and there.expires != FOREVER:
            self.delete(key, by=0)  # so it does with those of finite lifetime
            return
        self.addresses[key] = replace(there, dad="failed" if is_duplicate else "done", is_usable=not is_duplicate)
        self.news.append(AddressSeen(self.addresses[key]))
