"""``pools``: the ServiceGroups, how full each is, and which aren't served. Pure."""

from __future__ import annotations

from collections import Counter

from kubectl_purelb.answers import Answer, Cell, Table, Text, Tone
from kubectl_purelb.cluster import Cluster, Fill, Group
from purelb.addresses import Family, listed

_RANGES = 2
"""That a row names."""
_COUNTABLE = 10**7
"""Above it a number is shown as a power of two or so."""

COLUMNS = ("NAME", "NAMESPACE", "STATE", "ANNOUNCE", "IPAM", "IPV4", "IPV6", "SERVICES", "RANGES", "WHY")


def pools(cluster: Cluster) -> Answer:
    """One row for each ServiceGroup."""
    users = Counter(name for service in cluster.ours for name in set(service.allocated_from) if service.ingress)
    rows = tuple(_row(group, users[group.name]) for group in cluster.groups)
    document = [_entry(group, users[group.name]) for group in cluster.groups]
    table = Table(COLUMNS, rows, "there is no ServiceGroup: no Service gets an address")
    return Answer((table,), document, is_well=all(group.is_served for group in cluster.groups))


def _row(group: Group, users: int) -> tuple[Cell, ...]:
    fills = {fill.family: fill for fill in group.fill}
    return (
        group.name,
        group.namespace,
        _state(group),
        group.announce or "-",
        group.ipam or "-",
        *(_filling(fills.get(family)) for family in Family),
        str(users),
        listed(group.ranges, _RANGES) or "-",
        group.trouble or group.full,
    )


def _state(group: Group) -> Text:
    match group.is_served:
        case True:
            return Text("Full", Tone.DOUBTFUL) if group.full else Text("Served", Tone.GOOD)
        case False:
            return Text("NotServed", Tone.BAD)
        case None:
            return Text("Unseen", Tone.BAD)


def _filling(fill: Fill | None) -> str:
    if fill is None:
        return "-"
    return str(fill.used) if fill.free is None else f"{fill.used}/{_size(fill.used + fill.free)}"


def _size(size: int) -> str:
    return str(size) if size < _COUNTABLE else f"{size:.1e}"


def _entry(group: Group, users: int) -> dict[str, object]:
    return {
        "name": group.name,
        "namespace": group.namespace,
        "state": _state(group).text,
        "announce": group.announce,
        "ipam": group.ipam,
        "ranges": list(group.ranges),
        "addresses": {str(fill.family): {"used": fill.used, "free": fill.free} for fill in group.fill},
        "services": users,
        "why": group.trouble or group.full,
    }
