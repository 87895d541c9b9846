"""The routes of aggregates: where a VIP sits on the dummy interface with less than the host prefix.

Routing software that takes its routes from addresses (BIRD's ``direct``) takes an aggregate's route back with the
first of its addresses that goes, whichever others stay: it notes one route per prefix, not per address. So the agent
keeps a kernel route of its own, marked with the route protocol MARK, from an aggregate's first VIP to its last; BIRD's
``kernel`` protocol learns it. Owns those routes, and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final, TypeAlias

from lbnodeagent.errors import KernelError
from lbnodeagent.kernel.netlink import Netlink
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import Action, IfIndex, Place, Remove, network_of
from purelb.addresses import IPAddress, IPNetwork

log = logging.getLogger(__name__)

Aggregate: TypeAlias = tuple[IfIndex, IPNetwork]

LEFT_BEHIND: Final = 300
"""Seconds for which an IPv6 aggregate outlives a stopped agent, as its addresses do."""


class Aggregates:
    """``prepare`` before each pass and ``note`` after it, ``renew`` now and then, ``leave`` at a stop."""

    def __init__(self, netlink: Netlink, present: Present) -> None:
        self._netlink = netlink
        self._present = present
        self._members: dict[Aggregate, set[IPAddress]] = {}
        self._of: dict[IPAddress, set[Aggregate]] = {}

    async def adopt(self) -> None:
        """Note the routes that an earlier run left; those without a VIP go with ``renew``. Raises KernelError."""
        for index, network in await self._netlink.marked_routes():
            self._members.setdefault((index, network), set())

    async def prepare(self, actions: Iterable[Action]) -> None:
        """What is about to be done: the route of an aggregate that loses its last VIP goes first.

        With the last IPv4 address of an interface the kernel drops all of its routes and tells nobody.
        """
        losing: dict[Aggregate, set[IPAddress]] = {}
        gaining: set[Aggregate] = set()
        for action in actions:
            match action:
                case Remove(vip, index, _, prefix_length):
                    losing.setdefault((index, network_of(vip, prefix_length)), set()).add(vip)
                case Place(vip, spot):
                    gaining.add((spot.index, network_of(vip, spot.prefix_length)))
        for aggregate, vips in losing.items():
            members = self._members.get(aggregate)
            if members is not None and members <= vips and aggregate not in gaining:
                await self._delete_route(aggregate)

    async def note(self, vips: Iterable[IPAddress]) -> None:
        """These VIPs may have come or gone."""
        for vip in vips:
            before, now = self._of.get(vip, set()), self._aggregates_of(vip)
            for aggregate in now - before:
                members = self._members.setdefault(aggregate, set())
                members.add(vip)
                if len(members) == 1:
                    await self._add(aggregate)
            for aggregate in before - now:
                self._members[aggregate].discard(vip)
                if not self._members[aggregate]:
                    await self._delete(aggregate)
            if now:
                self._of[vip] = now
            else:
                self._of.pop(vip, None)

    def _aggregates_of(self, vip: IPAddress) -> set[Aggregate]:
        found = set()
        for there in self._present.ours(vip):
            link = self._present.links.get(there.index)
            if link is not None and not link.has_neighbours and there.prefix_length < vip.max_prefixlen:
                found.add((there.index, there.network))
        return found

    async def renew(self) -> None:
        """Have every route that has VIPs, and none that hasn't."""
        for aggregate, members in list(self._members.items()):
            await (self._add(aggregate) if members else self._delete(aggregate))

    async def leave(self) -> None:
        """The agent stops, its VIPs live on for a while: leave nothing that would live on for ever.

        IPv4 routes have no lifetime. Without ours the aggregate's connected route is exported, which is the same route.
        """
        for (index, network), members in list(self._members.items()):
            if network.version == 6 and members:
                await self._add((index, network), expires=LEFT_BEHIND)
            else:
                await self._delete((index, network))

    async def _add(self, aggregate: Aggregate, expires: int = 0) -> None:
        index, network = aggregate
        try:
            if network.version == 4:
                # Else the kernel takes all VIPs of the aggregate away together with the first one.
                self._netlink.promote_secondaries(index)
            await self._netlink.add_marked_route(network, index, expires)
        except KernelError as error:
            log.warning("route of an aggregate not added", extra={"route": str(network), "error": str(error)})

    async def _delete(self, aggregate: Aggregate) -> None:
        self._members.pop(aggregate, None)
        await self._delete_route(aggregate)

    async def _delete_route(self, aggregate: Aggregate) -> None:
        index, network = aggregate
        try:
            await self._netlink.delete_marked_route(network, index)
        except KernelError as error:
            log.warning("route of an aggregate not deleted", extra={"route": str(network), "error": str(error)})
