"""Where each address is: on a NIC of one node, routed by all, or nowhere; since when, and who is next. Pure.

As the Services' annotations say, which the announcing agents write, and the Membership object, from which a node that
died is gone at once: an annotation outlives whom it names, so neither is believed alone.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from allocator.page.facts import Facts
from allocator.page.forecast import Forecast, Terms
from purelb import names
from purelb.addresses import IPAddress, IPNetwork
from purelb.announcing import Entry, parse
from purelb.membership import MemberNode, Standing
from purelb.placement import parse_placement
from purelb.servicegroups import ServiceGroup
from purelb.services import ServiceKey, ServiceView, is_ours
from purelb.sharers import nodes_for, sharer

MOST_RANKED: Final = 200_000
"""Addresses times nodes: up to here it is foreseen who has an address next, which takes a hash for each pair."""


class State(enum.Enum):
    """How an address is; the value is what the page says."""

    ANNOUNCED = "Announced"
    """A node that takes part says that it has it on a NIC."""
    ROUTED = "Routed"
    """It is on no node's subnet: nodes have it on the dummy interface, for routers to learn."""
    UNKNOWN = "Unknown"
    """Nobody says which nodes there are."""
    PENDING = "Pending"
    """The Service has no address yet."""
    FOREIGN = "Foreign"
    """Another controller gave it, and PureLB leaves it alone."""
    NOWHERE = "Nowhere"
    """It should be on a NIC, and no node that is there says that it has it."""


@dataclass(frozen=True, slots=True)
class Place:
    """One address; or, without one, a Service that waits for it."""

    state: State
    services: tuple[ServiceKey, ...]
    address: IPAddress | None = None
    pool: str = ""
    node: str = ""
    """Who announces it on a NIC, or did."""
    interface: str = ""
    since: int | None = None
    """When that was written, seconds since 1970."""
    heir: str | None = None
    """Who has it when its node dies; empty: nobody. None: not known."""
    plan: tuple[str, ...] = ()
    """The nodes that are to have it, as its Services say."""
    why: str = ""
    """What there is to say of it, as a clause."""

    @property
    def key(self) -> str:
        """One of a kind among all: the address, or the Service's name."""
        return str(self.address) if self.address is not None else str(self.services[0])


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What places depend on beside Services."""

    served: Mapping[str, ServiceGroup]
    members: Mapping[str, tuple[Standing, frozenset[IPNetwork], bool]] | None
    dummies: tuple[str, ...]
    endpoints: Mapping[ServiceKey, frozenset[str]] | None
    is_few: bool


class Places:
    """Knows what it said last, and looks only at what has changed since."""

    def __init__(self, *, default_announcer: bool) -> None:
        self._default_announcer = default_announcer
        self._known: dict[str, tuple[tuple[ServiceView, ...], Place]] = {}
        self._around = _Surroundings({}, None, (), None, is_few=True)
        self._forecast: Forecast | None = None
        self._subnets: frozenset[IPNetwork] = frozenset()

    def see(self, facts: Facts, served: Mapping[str, ServiceGroup]) -> dict[str, Place]:
        """By their keys; a place that is as it was is the same object."""
        users = self._users(facts.services)
        self._look_around(facts, served, len(users))
        known: dict[str, tuple[tuple[ServiceView, ...], Place]] = {}
        for key, (address, having) in users.items():
            before, views = self._known.get(key), tuple(having)
            known[key] = before if before is not None and before[0] == views else (views, self._place(address, views))
        self._known = known
        return {key: place for key, (_, place) in known.items()}

    def _users(self, services: tuple[ServiceView, ...]) -> dict[str, tuple[IPAddress | None, list[ServiceView]]]:
        """The Services that have each address, the first by name first; those without one by themselves."""
        users: dict[str, tuple[IPAddress | None, list[ServiceView]]] = {}
        for service in services:
            if not service.is_load_balancer or not is_ours(service, default_announcer=self._default_announcer):
                continue
            for address in service.ingress:
                users.setdefault(str(address), (address, []))[1].append(service)
            if not service.ingress:
                users[str(service.key)] = None, [service]
        for _, having in users.values():
            having.sort(key=lambda one: (not one.is_branded, one.key))
        return users

    def _look_around(self, facts: Facts, served: Mapping[str, ServiceGroup], count: int) -> None:
        nodes = facts.members
        around = _Surroundings(
            served,
            None if nodes is None else {one.name: (one.standing, one.subnets, one.speaks) for one in nodes.values()},
            facts.dummies,
            facts.endpoints,
            is_few=count * len(nodes or ()) <= MOST_RANKED,
        )
        if around == self._around:
            return
        self._around = around
        self._known = {}
        members: Mapping[str, MemberNode] = nodes or {}
        self._forecast = Forecast(members) if around.is_few else None
        self._subnets = frozenset[IPNetwork]().union(*(node.subnets for node in members.values()))

    def _place(self, address: IPAddress | None, users: tuple[ServiceView, ...]) -> Place:
        first, keys = users[0], tuple(user.key for user in users)
        if address is None:
            return Place(State.PENDING, keys, pool=_named(first), why="it has no address yet")
        if not first.is_branded:
            by = first.ingress_writer or "another program"
            return Place(State.FOREIGN, keys, address, why=f"{by} wrote it, and PureLB leaves it alone")
        pool = first.group_of(address)
        entry, writer = _announcer(address, users)
        plans = (parse_placement(user.annotations.get(names.PLACEMENT, "")).get(address, ()) for user in users)
        plan = next(filter(None, plans), ())
        state, why = self._state(address, pool, entry, users)
        if state is State.ROUTED:
            dummy = ",".join(self._around.dummies) or names.DUMMY_INTERFACE
            return Place(state, keys, address, pool, interface=dummy, plan=plan, why=why)
        node, interface = (entry.node, entry.interface) if entry is not None else ("", "")
        announced = writer.announced if writer is not None else None
        since = None if announced is None else int(announced.timestamp())
        heir = self._heir(address, pool, users, plan, node) if state is State.ANNOUNCED else None
        return Place(state, keys, address, pool, node, interface, since, heir, plan, why)

    def _state(
        self, address: IPAddress, pool: str, entry: Entry | None, users: tuple[ServiceView, ...]
    ) -> tuple[State, str]:
        members = self._around.members
        if members is None:
            return (State.ANNOUNCED, "") if entry else (State.UNKNOWN, "no agent says which nodes there are")
        if not members:
            return State.NOWHERE, "no node takes part"
        is_on_link = any(address in subnet for subnet in self._subnets)
        group = self._around.served.get(pool)
        if not is_on_link and not (group is not None and group.is_onlink_only):
            is_local = users[0].external_traffic_policy == "Local"
            return State.ROUTED, "the nodes with a ready endpoint have it" if is_local else "every node has it"
        if entry is None:
            return State.NOWHERE, (
                "no node says that it announces it" if is_on_link else "no node that takes part has a NIC in its subnet"
            )
        if entry.node not in members:
            return State.NOWHERE, "the node that announced it takes no part any more"
        return State.ANNOUNCED, ""

    def _heir(
        self, address: IPAddress, pool: str, users: tuple[ServiceView, ...], plan: tuple[str, ...], node: str
    ) -> str | None:
        if self._forecast is None or self._around.members is None:
            return None
        sharers, endpoints = [sharer(user) for user in users], self._around.endpoints
        if any(sharers) and endpoints is None:
            return None
        known = endpoints or {}
        only, preferred = nodes_for(sharers, lambda key: known.get(key, frozenset()))
        group = self._around.served.get(pool)
        if group is not None and group.announcers is not None:
            only = group.announcers if only is None else only & group.announcers
        return self._forecast.heir(address, Terms(only, preferred, plan), node) or ""


def _named(service: ServiceView) -> str:
    return service.annotations.get(names.SERVICE_GROUP, "").strip()


def _announcer(address: IPAddress, users: tuple[ServiceView, ...]) -> tuple[Entry | None, ServiceView | None]:
    """Who says to have it, and the Service that says so."""
    key = names.ANNOUNCING_IPV4 if address.version == 4 else names.ANNOUNCING_IPV6
    for user in users:
        vips = [one for one in user.ingress if one.version == address.version]
        for entry in parse(user.annotations.get(key), vips):
            if entry.ip == address and entry.node:
                return entry, user
    return None, None
