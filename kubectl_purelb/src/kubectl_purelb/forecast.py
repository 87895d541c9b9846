"""Who owns each address by the agents' own rule, now and if a node died or were drained. Pure.

The rule is purelb's (planned.py, election.py); what it goes by here is what the cluster says: standings, subnets and
versions in the Membership object, plans in annotations, endpoints. It is what agents do at once. What the allocator
plans after that, to have all even again, isn't foreseen.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from kubectl_purelb.cluster import Cluster, Gathering
from kubectl_purelb.places import is_routed
from purelb import names
from purelb.addresses import IPAddress
from purelb.membership import MemberNode, Standing
from purelb.placement import parse_placement
from purelb.planned import PlannedElection, stand
from purelb.services import ServiceKey, ServiceView
from purelb.sharers import nodes_for, sharer

EndpointsOf: TypeAlias = Callable[[ServiceKey], frozenset[str]]
"""The nodes with a ready endpoint of a Service."""


class Event(enum.Enum):
    """What may become of a node."""

    DEATH = "death"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An address that belongs on a NIC, and who may have it."""

    address: IPAddress
    services: tuple[ServiceKey, ...]
    only: frozenset[str] | None
    preferred: frozenset[str] | None
    plan: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of an election."""

    wanted: Wanted
    owner: str | None
    then: str | None
    """Who has it after what was asked; without that, who would if the owner died."""


def needs_endpoints(cluster: Cluster) -> bool:
    """Whether where endpoints are matters to any address."""
    return any(sharer(service) is not None for service in cluster.ours)


def wanted(cluster: Cluster, gathering: Gathering, endpoints_of: EndpointsOf) -> tuple[Wanted, ...]:
    """The addresses that belong on a NIC, in their order."""
    users: dict[IPAddress, list[ServiceView]] = {}
    for service in cluster.ours:
        for address in service.ingress if service.is_branded else ():
            users.setdefault(address, []).append(service)
    return tuple(
        _wanted(address, users[address], cluster, endpoints_of)
        for address in sorted(users, key=lambda one: (one.version, one))
        if not is_routed(address, users[address][0].group_of(address), cluster, gathering)
    )


def _wanted(address: IPAddress, users: list[ServiceView], cluster: Cluster, endpoints_of: EndpointsOf) -> Wanted:
    group = cluster.group(users[0].group_of(address))
    announcers = group.spec.announcers if group is not None and group.spec is not None else None
    only, preferred = nodes_for(map(sharer, users), endpoints_of)
    if only is not None and announcers is not None:
        only &= announcers
    plans = (parse_placement(user.annotations.get(names.PLACEMENT, "")).get(address, ()) for user in users)
    keys = tuple(user.key for user in users)
    return Wanted(address, keys, announcers if only is None else only, preferred, next(filter(None, plans), ()))


def outcomes(
    all_wanted: Iterable[Wanted], gathering: Gathering, name: str = "", event: Event | None = None
) -> tuple[Outcome, ...]:
    """Who has each address, and who has it when ``event`` has become of the node ``name``."""
    nodes, election = gathering.nodes, PlannedElection()
    for node in nodes.values():
        stand(election, node)
    found = []
    for one in all_wanted:
        # One at a time: a node that goes and comes back costs a table of all of them one hash for each.
        election.set_vip(one.address, one.only, one.preferred, one.plan)
        owner = then = election.owner(one.address)
        concerned = name if event is not None else owner
        if concerned is not None:
            _befall(election, nodes[concerned], event or Event.DEATH)
            then = election.owner(one.address)
            stand(election, nodes[concerned])
        election.remove_vip(one.address)
        found.append(Outcome(one, owner, then))
    return tuple(found)


def _befall(election: PlannedElection, node: MemberNode, event: Event) -> None:
    match event:
        case Event.DEATH:
            election.remove_candidate(node.name)
        case Event.DRAIN:
            if node.standing is Standing.SERVING:  # the others stand behind those that serve already
                stand(election, replace(node, standing=Standing.EXCLUDED))
