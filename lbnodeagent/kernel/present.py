"""What the kernel has: links, addresses and default routes, as last heard. No I/O; netlink.py feeds it.

Only the data plane's loop touches it. A planner pass reads it without waiting in between, so that a pass sees one
state. It knows nothing of what is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from lbnodeagent.tables import DefaultRoute, IfIndex, Link, PresentAddress
from purelb.addresses import Family, IPAddress


class Present:
    """Indexed by address and, for those that aren't ours, by interface."""

    def __init__(
        self,
        links: Iterable[Link] = (),
        addresses: Iterable[PresentAddress] = (),
        routes: Iterable[DefaultRoute] = (),
    ) -> None:
        self._links: dict[IfIndex, Link] = {link.index: link for link in links}
        self._by_address: dict[IPAddress, dict[tuple[IfIndex, int], PresentAddress]] = {}
        self._foreign: dict[IfIndex, dict[IPAddress, PresentAddress]] = {}
        self._routes: tuple[DefaultRoute, ...] = ()
        self._gateways: frozenset[IPAddress] = frozenset()
        self.set_routes(routes)
        for address in addresses:
            self.set_address(address)

    @property
    def links(self) -> Mapping[IfIndex, Link]:
        return MappingProxyType(self._links)

    def link_named(self, name: str) -> Link | None:
        return next((link for link in self._links.values() if link.name == name), None)

    def at(self, address: IPAddress) -> list[PresentAddress]:
        """Where ``address`` sits, ours or not."""
        return list(self._by_address.get(address, {}).values())

    def ours(self, address: IPAddress) -> list[PresentAddress]:
        """Where ``address`` sits by our doing."""
        return [present for present in self._by_address.get(address, {}).values() if present.is_ours]

    def is_on(self, address: IPAddress, interface: str) -> bool:
        """Whether ``address`` sits on ``interface`` by our doing."""
        return any(self._name(there.index) == interface for there in self.ours(address))

    def nics_with(self, address: IPAddress) -> list[Link]:
        """The NICs on which ``address`` answers by our doing: not the dummy interface, which has no neighbours."""
        links = (self._links.get(there.index) for there in self.ours(address) if there.dad == "done")
        return [link for link in links if link is not None and link.has_neighbours]

    def _name(self, index: IfIndex) -> str | None:
        link = self._links.get(index)
        return link.name if link else None

    def all(self) -> Iterator[PresentAddress]:
        """Every address."""
        return (present for spots in self._by_address.values() for present in spots.values())

    def all_ours(self) -> Iterator[PresentAddress]:
        """Every address that carries our mark."""
        return (present for present in self.all() if present.is_ours)

    def foreign(self, index: IfIndex) -> list[PresentAddress]:
        """The addresses of an interface that aren't ours: the node's own."""
        return list(self._foreign.get(index, {}).values())

    def default_routes(self, family: Family) -> list[DefaultRoute]:
        """The default routes of a family, the preferred one first."""
        return [route for route in self._routes if route.family is family]

    @property
    def gateways(self) -> frozenset[IPAddress]:
        """The routers to which default routes lead."""
        return self._gateways

    def set_link(self, link: Link) -> bool:
        """Note a link. True if that is news."""
        if self._links.get(link.index) == link:
            return False
        self._links[link.index] = link
        return True

    def drop_link(self, index: IfIndex) -> set[IPAddress]:
        """Forget a link with its addresses, which are returned."""
        self._links.pop(index, None)
        gone = [present for present in self.all() if present.index == index]
        for present in gone:
            self.drop_address(present.index, present.address, present.prefix_length)
        return {present.address for present in gone}

    def set_address(self, present: PresentAddress) -> bool:
        """Note an address. True if more than its lifetime is news."""
        spots = self._by_address.setdefault(present.address, {})
        before = spots.get((present.index, present.prefix_length))
        spots[present.index, present.prefix_length] = present
        if present.is_ours:
            self._drop_foreign(present.index, present.address)
        else:
            self._foreign.setdefault(present.index, {})[present.address] = present
        return before is None or replace(before, expires=present.expires) != present

    def drop_address(self, index: IfIndex, address: IPAddress, prefix_length: int) -> PresentAddress | None:
        """Forget an address; returns it if it was known."""
        spots = self._by_address.get(address, {})
        present = spots.pop((index, prefix_length), None)
        if not spots:
            self._by_address.pop(address, None)
        if present is not None and not present.is_ours:
            self._drop_foreign(index, address)
        return present

    def _drop_foreign(self, index: IfIndex, address: IPAddress) -> None:
        of_interface = self._foreign.get(index, {})
        of_interface.pop(address, None)
        if not of_interface:
            self._foreign.pop(index, None)

    def set_routes(self, routes: Iterable[DefaultRoute]) -> bool:
        """Replace the default routes. True if they changed."""
        before, self._routes = self._routes, tuple(sorted(routes, key=lambda route: route.metric))
        self._gateways = frozenset(gateway for route in self._routes for gateway in route.gateways)
        return set(before) != set(self._routes)
