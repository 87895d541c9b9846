"""The routes of aggregates: where a VIP sits on the dummy interface with less than the host prefix. Pure.

Routing software that takes its routes from addresses (BIRD's ``direct``) takes an aggregate's route back with the
first of its addresses that goes, whichever others stay: it notes one route per prefix, not per address. So the agent
keeps a kernel route of its own, marked with the route protocol MARK, from an aggregate's first VIP to its last; BIRD's
``kernel`` protocol learns it. Knows which of those routes there are to be, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import Action, AddRoute, DeleteRoute, IfIndex, Place, Remove, network_of
from purelb.addresses import IPAddress, IPNetwork

Aggregate: TypeAlias = tuple[IfIndex, IPNetwork]
Change: TypeAlias = AddRoute | DeleteRoute

LEFT_BEHIND: Final = 300
"""Seconds for which an IPv6 aggregate outlives a stopped agent, as its addresses do."""


class Routes:
    """``prepare`` before each pass and ``note`` after it, ``renew`` now and then, ``leave`` at a stop."""

    def __init__(self, present: Present) -> None:
        self._present = present
        self._members: dict[Aggregate, set[IPAddress]] = {}
        self._of: dict[IPAddress, set[Aggregate]] = {}

    def adopt(self, routes: Iterable[Aggregate]) -> None:
        """Note the routes that an earlier run left; those without a VIP go with ``renew``."""
        for aggregate in routes:
            self._members.setdefault(aggregate, set())

    def prepare(self, actions: Iterable[Action]) -> list[Change]:
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
                case _:
                    pass
        return [
            DeleteRoute(*aggregate)
            for aggregate, vips in losing.items()
            if aggregate in self._members and self._members[aggregate] <= vips and aggregate not in gaining
        ]

    def note(self, vips: Iterable[IPAddress]) -> list[Change]:
        """What follows for the routes where these VIPs may have come or gone."""
        changes: list[Change] = []
        for vip in vips:
            before, now = self._of.get(vip, set()), self._aggregates_of(vip)
            for aggregate in now - before:
                members = self._members.setdefault(aggregate, set())
                members.add(vip)
                if len(members) == 1:
                    changes.append(AddRoute(*aggregate))
            for aggregate in before - now:
                self._members[aggregate].discard(vip)
                if not self._members[aggregate]:
                    del self._members[aggregate]
                    changes.append(DeleteRoute(*aggregate))
            if now:
                self._of[vip] = now
            else:
                self._of.pop(vip, None)
        return changes

    def _aggregates_of(self, vip: IPAddress) -> set[Aggregate]:
        found = set()
        for there in self._present.ours(vip):
            link = self._present.links.get(there.index)
            if link is not None and not link.has_neighbours and there.prefix_length < vip.max_prefixlen:
                found.add((there.index, there.network))
        return found

    def renew(self) -> list[Change]:
        """Have every route that has VIPs, and none that hasn't."""
        changes: list[Change] = []
        for aggregate, members in list(self._members.items()):
            changes.append(AddRoute(*aggregate) if members else DeleteRoute(*aggregate))
            if not members:
                del self._members[aggregate]
        return changes

    def leave(self) -> list[Change]:
        """The agent stops, its VIPs live on for a while: leave nothing that would live on for ever.

        IPv4 routes have no lifetime. Without ours the aggregate's connected route is exported, which is the same route.
        """
        return [
            AddRoute(index, network, LEFT_BEHIND) if network.version == 6 and members else DeleteRoute(index, network)
            for (index, network), members in self._members.items()
        ]
