"""Where each address of each Service is: on a NIC of one node, routed by all, or nowhere. Pure.

As told by the Service's annotations, which the announcing agents write, and by the Membership object, from which a
node that died is gone at once. An annotation outlives whom it names, so neither is believed alone.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from kubectl_purelb.cluster import Cluster, Gathering
from purelb import names
from purelb.addresses import IPAddress
from purelb.announcing import Entry, parse
from purelb.services import ServiceKey, ServiceView


class State(enum.Enum):
    """How an address is."""

    ANNOUNCED = "Announced"
    """A node that takes part says that it has it on a NIC."""
    ROUTED = "Routed"
    """It is on no node's subnet: every node has it on the dummy interface, for routers to learn."""
    UNKNOWN = "Unknown"
    """No Membership object says which nodes there are."""
    PENDING = "Pending"
    """The Service has no address yet."""
    FOREIGN = "Foreign"
    """Another controller gave it, and PureLB leaves it alone."""
    NOWHERE = "Nowhere"
    """It should be on a node, and none that is there says that it has it, or could."""

    @property
    def is_well(self) -> bool:
        return self not in (State.PENDING, State.NOWHERE)


@dataclass(frozen=True, slots=True)
class Place:
    """One address of one Service; or, without an address, the Service that has none."""

    service: ServiceKey
    state: State
    address: IPAddress | None = None
    group: str = ""
    node: str = ""
    """Who announces it on a NIC, or did."""
    interface: str = ""
    why: str = ""
    """What there is to say of it, as a clause."""


def places_of(service: ServiceView, cluster: Cluster) -> tuple[Place, ...]:
    """Where the addresses of a Service of ours are, in their order."""
    groups = service.allocated_from
    if not service.ingress:
        wanted = cluster.group_to_take_from(service)
        return (Place(service.key, State.PENDING, group=wanted, why="it has no address yet"),)
    if not service.is_branded:
        by = f"{service.ingress_writer or 'another program'} wrote it, and PureLB leaves it alone"
        return tuple(Place(service.key, State.FOREIGN, address, why=by) for address in service.ingress)
    entries = {entry.ip: entry for entry in announcers(service)}
    return tuple(
        _place(service, address, groups[min(index, len(groups) - 1)] if groups else "", entries.get(address), cluster)
        for index, address in enumerate(service.ingress)
    )


def all_places(cluster: Cluster, namespace: str | None = None) -> tuple[Place, ...]:
    """Those of all Services of ours; ``namespace``: of those in there."""
    return tuple(
        place
        for service in cluster.ours
        if namespace is None or service.key.namespace == namespace
        for place in places_of(service, cluster)
    )


def announcers(service: ServiceView) -> Iterable[Entry]:
    """Who says to have which of its addresses on a NIC."""
    for key, version in ((names.ANNOUNCING_IPV4, 4), (names.ANNOUNCING_IPV6, 6)):
        vips = [address for address in service.ingress if address.version == version]
        yield from (entry for entry in parse(service.annotations.get(key), vips) if entry.ip in vips)


def on_link(address: IPAddress, gathering: Gathering) -> frozenset[str]:
    """The nodes with a NIC in the address's subnet."""
    return frozenset[str]().union(*(there for subnet, there in gathering.on.items() if address in subnet))


def is_routed(address: IPAddress, group: str, cluster: Cluster, gathering: Gathering) -> bool:
    """Whether an address belongs on the dummy interface of every node, not on one node's NIC.

    As the agents decide it: by their subnets alone, so that an address of a remote pool that a NIC fits is on that NIC.
    """
    known = cluster.group(group)
    spec = known.spec if known is not None else None
    return not on_link(address, gathering) and not (spec is not None and spec.is_onlink_only)


def _place(service: ServiceView, address: IPAddress, group: str, entry: Entry | None, cluster: Cluster) -> Place:
    gathering = cluster.gathering
    node, interface = (entry.node, entry.interface) if entry is not None else ("", "")
    if gathering is None:
        state, why = (State.ANNOUNCED, "") if entry else (State.UNKNOWN, "no agent says which nodes there are")
    elif not gathering.nodes:
        state, why = State.NOWHERE, "no node takes part"
    elif cluster.is_idle:
        state, why = State.NOWHERE, "no LBNodeAgent applies to a node"
    elif is_routed(address, group, cluster, gathering):
        dummies = sorted({config.dummy for config in cluster.configs if config.dummy}) or [names.DUMMY_INTERFACE]
        local = service.external_traffic_policy == "Local"
        why = "the nodes with a ready endpoint have it" if local else "every node has it"
        state, node, interface = State.ROUTED, "", ",".join(dummies)
    elif entry is None:
        able = on_link(address, gathering)
        state = State.NOWHERE
        why = "no node says that it announces it" if able else "no node that takes part has a NIC in its subnet"
    elif node not in gathering.nodes:
        state, why = State.NOWHERE, "the node that announced it takes no part any more"
    else:
        state, why = State.ANNOUNCED, ""
    return Place(service.key, state, address, group, node, interface, why)
