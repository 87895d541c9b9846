"""What the planner knows, for whoever debugs it: VIPs with their places, nodes with their shares. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from allocator.placement.planner import Planner


def told_places(planner: Planner) -> Iterator[Mapping[str, Any]]:
    """Each VIP: owner, stand-in, and what was wished."""
    for address in list(planner.places):
        place = planner.places.get(address)
        if place is None:
            continue
        vip, wish = place.vip, place.vip.preference
        yield {
            "vip": address,
            "owner": place.owner,
            "standIn": place.heir,
            "home": place.home,
            "at": vip.at,
            "only": None if vip.only is None else sorted(vip.only),
            "rather": None if vip.rather is None else sorted(vip.rather),
            "preferred": None if wish is None else sorted(wish.nodes) or str(wish.selector),
            "apartAs": vip.spread,
            "byHash": place.domain.reach.is_mixed,
        }


def told_nodes(planner: Planner, now: float) -> Iterator[Mapping[str, Any]]:
    """Each node: how it takes part, what it has, and for how long it is held or missed, in seconds."""
    nodes, shares, lost = planner.eligibility.nodes, planner.shares, planner.presence.lost(now)
    for name in sorted(nodes.keys() | lost.keys()):
        node = nodes.get(name)
        yield {
            "node": name,
            "standing": None if node is None else node.standing.value,
            "weight": None if node is None else node.weight,
            "behind": None if node is None else node.is_behind,
            "readsPlans": None if node is None else node.speaks,
            "subnets": [] if node is None else sorted(map(str, node.subnets)),
            "owns": len(shares.owned.get(name, ())),
            "standsIn": len(shares.stood.get(name, ())),
            "heldFor": planner.presence.held_for(name, now),
            "lostFor": lost.get(name),
        }


def seconds_until(at: float | None, now: float) -> float | None:
    """A deadline as whoever reads it can use it; None: there is none."""
    return None if at is None or math.isinf(at) else round(at - now, 3)
