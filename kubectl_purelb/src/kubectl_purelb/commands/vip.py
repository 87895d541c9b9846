"""``vip ADDRESS``: which Services have it, which node announces it, by which MAC, and since when. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from kubectl_purelb.answers import Answer, Table, Text, Tone
from kubectl_purelb.cluster import Cluster
from kubectl_purelb.happenings import Event, latest
from kubectl_purelb.places import Place, State, all_places
from purelb import names
from purelb.addresses import IPAddress
from purelb.nodefacts import NodeFacts
from purelb.services import ServiceKey


def holders(address: IPAddress, cluster: Cluster) -> tuple[Place, ...]:
    """The Services that have it; several if they share it."""
    return tuple(place for place in all_places(cluster) if place.address == address)


def vip(
    address: IPAddress,
    cluster: Cluster,
    events: Mapping[ServiceKey, Sequence[Event]],
    facts: Mapping[str, NodeFacts] = MappingProxyType({}),
) -> Answer:
    """``events``: of its holders; ``facts``: what the agents say of the nodes that announce it."""
    held = holders(address, cluster)
    if not held:
        return _nobodys(address, cluster)
    document, lines = [], list[Table | Text]()
    for place in held:
        mac = facts.get(place.node or "", NodeFacts()).mac_for(address) if place.state is State.ANNOUNCED else ""
        since = _since(place, events.get(place.service, ()))
        rows = [
            ("address", str(address)),
            ("service", str(place.service)),
            ("pool", place.group or "-"),
            ("state", place.state.value + (f": {place.why}" if place.why else "")),
            ("node", place.node or ("every one" if place.state is State.ROUTED else "-")),
            ("interface", place.interface or "-"),
            ("MAC", mac or "-"),
            ("since", since.strftime("%Y-%m-%d %H:%M:%S UTC") if since else "not known: events are kept for an hour"),
        ]
        lines += [Table(("", ""), tuple(rows))]
        document.append(
            {
                "address": str(address),
                "service": str(place.service),
                "pool": place.group,
                "state": place.state.value,
                "why": place.why,
                "node": place.node or None,
                "interface": place.interface or None,
                "mac": mac or None,
                "since": since.isoformat() if since else None,
            }
        )
    return Answer(tuple(lines), document, is_well=all(place.state.is_well for place in held))


def _since(place: Place, events: Sequence[Event]) -> datetime.datetime | None:
    """When its node took it, by the event of that moment."""
    if place.state is not State.ANNOUNCED:
        return None
    ours = [event for event in events if event.message.startswith(f"Node {place.node} announcing ")]
    taken = latest(ours, names.REASON_ANNOUNCING_LOCAL, place.address)
    return taken.last if taken is not None else None


def _nobodys(address: IPAddress, cluster: Cluster) -> Answer:
    pool = next((group for group in cluster.groups if group.spec is not None and group.spec.pool_of(address)), None)
    where = f"it is in the pool of ServiceGroup {pool.name}" if pool is not None else "it is in no ServiceGroup's pool"
    text = f"no Service that PureLB serves has {address}; {where}"
    document = {"address": str(address), "service": None, "pool": pool.name if pool is not None else None}
    return Answer((Text(text, Tone.DOUBTFUL),), document, is_well=False)
