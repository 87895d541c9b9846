"""``move SERVICE --to NODE``: what was asked for, and what became of it. Pure."""

from __future__ import annotations

from kubectl_purelb.answers import Answer, Text, Tone
from kubectl_purelb.cluster import Cluster
from kubectl_purelb.moving import is_there
from kubectl_purelb.places import Place, places_of
from purelb import names
from purelb.services import ServiceView

LATER = (
    "Not yet. The allocator moves few at a time, and none while a node is missed or just after it has begun to lead: "
    "kubectl purelb rebalance ends that wait; kubectl purelb events {service} shows when it happens"
)


def moved(before: ServiceView, after: ServiceView, cluster: Cluster, node: str, seconds: float | None) -> Answer:
    """``node``: to where, empty: to wherever the allocator likes; ``seconds``: that were waited, None: none were."""
    places = [place for place in places_of(after, cluster) if place.address is not None]
    is_done = is_there(after, node, cluster) if node else True
    was = {place.address: place.node for place in places_of(before, cluster)}
    lines = [Text(_line(place, was.get(place.address, "")), Tone.GOOD if is_done else Tone.PLAIN) for place in places]
    lines.append(Text(_wish(before, after, node), Tone.FAINT))
    if seconds is not None and node:
        told = f"Done after {seconds:.1f} s" if is_done else LATER.format(service=after.key)
        lines.append(Text(told, Tone.GOOD if is_done else Tone.BAD))
    document = {
        "service": str(after.key),
        "to": node or None,
        "done": is_done,
        "seconds": seconds,
        "addresses": [
            {"address": str(place.address), "from": was.get(place.address) or None, "node": place.node or None}
            for place in places
        ],
    }
    return Answer(tuple(lines), document, is_done or seconds is None)


def _line(place: Place, before: str) -> str:
    now = place.node or "no node"
    return f"{place.address}: {before} → {now}" if before and before != now else f"{place.address}: {now}"


def _wish(before: ServiceView, after: ServiceView, node: str) -> str:
    said = before.annotations.get(names.PREFERRED_NODES)
    instead = f" (instead of {said})" if said not in (None, node) else ""
    if node:
        return (
            f"{names.PREFERRED_NODES}={node} stays on it{instead}: kubectl purelb move {after.key} --anywhere takes it "
            "away"
        )
    return f"{names.PREFERRED_NODES} is taken away{instead}: it stays where it is until all are evened out"
