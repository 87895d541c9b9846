"""How many addresses each node announces, and how many would have to move for all to have their share. Pure.

Only those that the allocator plans: where the hash rule decides, or every node has an address, nothing can be asked.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from kubectl_purelb.cluster import Cluster
from kubectl_purelb.places import State, all_places
from purelb import names
from purelb.addresses import IPAddress
from purelb.membership import Standing
from purelb.placement import parse_placement


@dataclass(frozen=True, slots=True)
class Share:
    """What a node has."""

    node: str
    addresses: int
    weight: int
    due: float
    """How many it would have if they could be divided."""
    serves: bool


def planned(cluster: Cluster) -> Mapping[IPAddress, str]:
    """The addresses that are planned, and the node that announces each; empty where none does."""
    plans = {
        (service.key, address)
        for service in cluster.ours
        for address in parse_placement(service.annotations.get(names.PLACEMENT, ""))
    }
    return {
        place.address: place.node if place.state is State.ANNOUNCED else ""
        for place in all_places(cluster)
        if place.address is not None and (place.service, place.address) in plans
    }


def shares(cluster: Cluster) -> tuple[Share, ...]:
    """By node, of those that serve or have something."""
    where = planned(cluster)
    counts = Counter(node for node in where.values() if node)
    nodes = cluster.gathering.nodes if cluster.gathering is not None else {}
    weights = {name: node.weight for name, node in nodes.items() if node.standing is Standing.SERVING}
    total = sum(weights.values())
    return tuple(
        Share(name, counts[name], weights.get(name, 0), _due(len(where), weights.get(name, 0), total), name in weights)
        for name in sorted(weights.keys() | counts.keys())
    )


def _due(addresses: int, weight: int, total: int) -> float:
    return addresses * weight / total if total else 0.0


def moves_left(found: tuple[Share, ...]) -> int:
    """How many addresses have to move at least for nobody to have more than his share; 0: all have theirs.

    Where not all nodes can have all of them, or wishes bind them, fewer can.
    """
    weights = {share.node: share.weight for share in found if share.serves and share.weight}
    has, moves = {share.node: share.addresses for share in found}, 0
    if not weights:
        return 0

    def share_of(name: str, more: int = 0) -> float:
        """Of one that should have none, as much as there is while it has any."""
        count = has[name] + more
        return count / weights[name] if name in weights else math.inf if count else 0.0

    while True:
        most = max(has, key=lambda name: (share_of(name), name))
        least = min(weights, key=lambda name: (share_of(name, 1), name))
        if most == least or share_of(most) <= share_of(least, 1):
            return moves
        has[most], has[least], moves = has[most] - 1, has[least] + 1, moves + 1
