"""What placement each Service is to show: its wishes to the planner, and the planner's answer to the annotation. Pure.

It owns which Services want which VIPs placed. It must not know how a plan is written, nor how nodes are chosen. Times
are monotonic seconds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from allocator.placement.balance import Balance
from allocator.placement.planner import Planner
from allocator.placement.telling import seconds_until, told_nodes, told_places
from allocator.placement.values import Move, Vip, order
from allocator.reconcile.announced import announcer
from allocator.reconcile.endpointnews import EndpointNews
from allocator.reconcile.fleet import Fleet
from purelb import names
from purelb.addresses import IPAddress
from purelb.errors import SpecError
from purelb.placement import parse_placement, write_placement
from purelb.preferences import Placement, Preference, parse_preference, parse_spread_group
from purelb.servicegroups import ServiceGroup
from purelb.services import ServiceKey, ServiceView
from purelb.sharers import Sharer, nodes_for, sharer
from purelb.statedump import Table
from purelb.tempo import Tempo

BOOT: Final = 30.0
"""Seconds for which one that begins waits for the owners of the plans that it finds: after a power cut nodes come up
one after the other, and the first mustn't be given everything."""

PORTION: Final = 500
"""Services whose endpoints are read in one look, so that thousands don't keep others of the program waiting."""

GroupOf = Callable[[IPAddress, Sequence[str]], ServiceGroup | None]
"""The group that an address is of, as its pools say; else the first of these names."""


class Placing:
    """Between Services and the planner; ``begin``, then let it ``learn`` all Services that there are."""

    def __init__(self, fleet: Fleet, endpoints: EndpointNews, tempo: Tempo, group_of: GroupOf) -> None:
        self._fleet = fleet
        self._endpoints = endpoints
        self._tempo = tempo
        self._group_of = group_of
        self._planner = Planner(tempo)
        self._balance = Balance(self._planner, not_before=math.inf)
        self._wishes: dict[ServiceKey, dict[IPAddress, Vip]] = {}
        self._users: defaultdict[IPAddress, set[ServiceKey]] = defaultdict(set)
        self._follows: dict[ServiceKey, Sharer] = {}
        """Of the Services with wishes whose endpoints matter."""
        self._unread: set[ServiceKey] = set()
        """Those of them whose endpoints may be elsewhere than the planner knows."""
        self._begun: float | None = None
        self._has_seen = False
        self._rule: Placement | None = None
        self._was_current = False

    def begin(self, now: float) -> None:
        """From now on it plans. Nodes that were lost before are unknown, so for once nothing that is well moves."""
        self._planner = Planner(self._tempo)
        self._balance = Balance(self._planner, not_before=now + self._tempo.give_up)
        self._wishes.clear()
        self._users.clear()
        self._follows.clear()
        self._unread.clear()
        self._begun, self._has_seen, self._rule = now, False, self._fleet.rule
        self._fleet.repeat()
        self._fleet.take_haste()  # what a standby heard was for whoever led then, long ago it may be

    # --- what is wanted ----------------------------------------------------------------------------------------------

    def learn(self, service: ServiceView, ingress: Iterable[IPAddress], groups: Sequence[str], now: float) -> None:
        """A Service has these addresses, or is about to: those of them that are to be placed are wanted so."""
        shown = parse_placement(service.annotations.get(names.PLACEMENT, ""))
        addresses = tuple(ingress)
        spread = _spread(service, is_several=len(addresses) > 1)
        follows = sharer(service)
        wishes: dict[IPAddress, Vip] = {}
        for address in addresses:
            group = self._group_of(address, groups)
            if group is not None and self._is_placed(group):
                wishes[address] = _wish(service, address, group, shown.get(address, ()), spread, follows)
        if not wishes:
            follows = None
        before = self._wishes.get(service.key, {})
        if before == wishes and self._follows.get(service.key) == follows:
            return
        self._wishes[service.key] = wishes
        if follows is not None:
            self._follows[service.key] = follows
        else:
            self._follows.pop(service.key, None)
        for address in before.keys() - wishes.keys():
            self._users[address].discard(service.key)
            self._merge(address, now)
        for address in wishes:
            self._users[address].add(service.key)
            self._merge(address, now)

    def forget(self, key: ServiceKey, now: float) -> None:
        """A Service is gone."""
        self._follows.pop(key, None)
        for address in self._wishes.pop(key, {}):
            self._users[address].discard(key)
            self._merge(address, now)

    @property
    def needs_endpoints(self) -> bool:
        """Whether where endpoints are matters to any Service that is placed."""
        return bool(self._follows)

    def _is_placed(self, group: ServiceGroup) -> bool:
        """Whether the planner is to decide."""
        return (group.placement or self._fleet.rule) == "even" and group.scope == "local"

    def _merge(self, address: IPAddress, now: float) -> bool:
        """Several Services may share a VIP: the first by name that has a wish decides it. Whether its plan changed."""
        users = sorted(self._users[address])
        if not users:
            del self._users[address]
            self._planner.forget(address)
            return False
        follows = [self._follows.get(key) for key in users]
        if any(follows) and not self._endpoints.is_known:
            return False  # what is shown stays until they are
        only, rather = nodes_for(follows, self._endpoints.endpoints.of)
        wishes = [self._wishes[key][address] for key in users]
        first = wishes[0]
        return self._planner.want(
            replace(
                first,
                only=only,
                rather=rather,
                preference=next((one.preference for one in wishes if one.preference is not None), None),
                spread=next((one.spread for one in wishes if one.spread is not None), None),
                is_new=all(one.is_new for one in wishes),
                at=next((one.at for one in wishes if one.at is not None), None),
                plan=next((one.plan for one in wishes if one.plan), ()),
            ),
            now,
        )

    # --- what is to be shown -----------------------------------------------------------------------------------------

    def text(self, service: ServiceView, ingress: Iterable[IPAddress], now: float) -> str | None:
        """The annotation that a Service with these addresses is to have; None: none.

        While nobody says who is there, it keeps what it has.
        """
        shown = parse_placement(service.annotations.get(names.PLACEMENT, ""))
        wishes = self._wishes.get(service.key, {})
        placement: dict[IPAddress, Sequence[str]] = {}
        for address in ingress:
            if address not in wishes:
                if self._fleet.rule is None:
                    placement[address] = shown.get(address, ())
                continue
            planned = self._planner.placement(address) if self._fleet.is_current(now) else None
            placement[address] = shown.get(address, ()) if planned is None else planned
        return write_placement(placement) or None

    # --- what happens ------------------------------------------------------------------------------------------------

    def look(self, now: float) -> set[ServiceKey] | None:
        """See who is there, and take the step that is due. Whose annotation may be another; None: everybody's."""
        if self._begun is None:
            return set()
        is_current, rule = self._fleet.is_current(now), self._fleet.rule
        is_other = rule != self._rule or is_current != self._was_current
        self._rule, self._was_current = rule, is_current
        changed = self._see_endpoints(now)
        if is_current and not self._waits(now):
            nodes = self._fleet.nodes(now)
            if nodes is not None:
                self._has_seen = True
                changed |= self._planner.see(nodes, now)
            if self._has_seen and self._fleet.take_haste():
                self._balance.hasten(now)
            if self._has_seen:
                changed |= self._balance.step(now)
        return None if is_other else {key for address in changed for key in self._users.get(address, ())}

    def _see_endpoints(self, now: float) -> set[IPAddress]:
        """Those VIPs have another plan whose endpoints are elsewhere now."""
        news = self._endpoints.take_changed(now)
        self._unread |= self._follows.keys() if news is None else self._follows.keys() & news
        portion = sorted(self._unread)[:PORTION]
        self._unread.difference_update(portion)
        addresses = {address for key in portion for address in self._wishes.get(key, ())}
        return {address for address in sorted(addresses, key=order) if self._merge(address, now)}

    def due(self, now: float) -> float | None:
        """When to look again, if nothing is heard before; it may be now."""
        if self._unread:
            return now
        times = [self._fleet.believed_at, self._fleet.stale_at, self._endpoints.due]
        if self._begun is not None and not self._has_seen:
            times.append(self._begun + BOOT)
        due = min((time for time in times if time is not None and time > now), default=None)
        step = self._balance.due(now) if self._has_seen and self._fleet.is_current(now) else None
        return min((time for time in (due, step) if time is not None), default=None)

    def take_moves(self) -> list[Move]:
        """The VIPs that were given another owner, and why, since this was asked last."""
        taken, self._planner.moves = self._planner.moves, []
        return taken

    def tables(self, now: float) -> tuple[Table, ...]:
        """All that is known of places, nodes and times, for whoever debugs it."""
        planner, balance = self._planner, self._balance
        times = {
            "nextStep": seconds_until(balance.due(now), now),
            "calm": seconds_until(planner.presence.calm_at(now), now),
            "membershipIsStale": seconds_until(self._fleet.stale_at, now),
            "membershipIsBelieved": seconds_until(self._fleet.believed_at, now),
            "isCurrent": self._fleet.is_current(now),
            "rule": self._fleet.rule,
            "hasSeenNodes": self._has_seen,
            "endpointsToRead": len(self._unread),
        }
        return (
            Table("places", lambda: told_places(planner)),
            Table("nodes", lambda: told_nodes(planner, now)),
            Table("planning", lambda: [times]),
        )

    @property
    def changes(self) -> int:
        """Another number whenever there may be something to do that wasn't to be done before."""
        return self._planner.changes

    def _waits(self, now: float) -> bool:
        """Whether more than half of the owners that are expected aren't there yet."""
        if self._has_seen or self._begun is None or now >= self._begun + BOOT:
            return False
        planned = {vip.plan[0] for wishes in self._wishes.values() for vip in wishes.values() if vip.plan}
        return 2 * len(planned - self._fleet.serving()) > len(planned)


def _wish(
    service: ServiceView,
    address: IPAddress,
    group: ServiceGroup,
    plan: tuple[str, ...],
    spread: str | None,
    follows: Sharer | None,
) -> Vip:
    at = announcer(service, address)
    return Vip(
        address,
        plan,
        at=at,
        is_new=address not in service.ingress or (follows is not None and at is None),
        selector=group.node_selector,
        preference=_preference(service),
        spread=spread,
    )


def _preference(service: ServiceView) -> Preference | None:
    try:
        text = service.annotations.get(names.PREFERRED_NODES)
        return None if text is None else parse_preference(text)
    except SpecError:
        return None  # a Warning says so (plan.remarked)


def _spread(service: ServiceView, *, is_several: bool) -> str | None:
    """VIPs of one Service are apart in any case, and those of a spread group of its namespace with them."""
    try:
        text = service.annotations.get(names.SPREAD_GROUP)
        name = None if text is None else parse_spread_group(text)
    except SpecError:
        name = None
    if name is not None:
        return f"{service.key.namespace}/group {name}"
    return f"{service.key}" if is_several else None
