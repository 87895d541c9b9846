"""``top``: nodes with what they have, what isn't well, and what happened last, on one screen. Pure."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable
from typing import Final

from kubectl_purelb.answers import Answer, Cell, Table, Text, Tone
from kubectl_purelb.cluster import Cluster
from kubectl_purelb.commands.events import entry
from kubectl_purelb.commands.status import status
from kubectl_purelb.happenings import Event
from kubectl_purelb.places import Place, State, all_places
from kubectl_purelb.timeline import Happening, Kind, timeline
from purelb.membership import MemberNode, Standing

LAST: Final = 12
"""Happenings on the screen."""
NODES: Final = ("NODE", "STANDING", "ADDRESSES", "OF THEM", "REASON")
HAPPENED: Final = ("AGO", "WHAT", "ABOUT", "TOLD")
BAR: Final = 24
"""Characters of the longest bar."""
_TONES: Final = {Standing.SERVING: Tone.GOOD, Standing.FAILING: Tone.BAD}
_KINDS: Final = {Kind.MOVED: Tone.DOUBTFUL, Kind.CONFLICT: Tone.BAD, Kind.WARNING: Tone.BAD, Kind.ANNOUNCED: Tone.GOOD}


def top(cluster: Cluster, events: Iterable[Event], now: datetime.datetime) -> Answer:
    """``now`` is the time of day."""
    places = all_places(cluster)
    found, happened = status(cluster, now), timeline(events)[-LAST:]
    nodes = tuple(cluster.gathering.nodes.values()) if cluster.gathering is not None else ()
    has = Counter(place.node for place in places if place.state is State.ANNOUNCED)
    most = max(has.values(), default=0)
    rows = tuple(_node(node, has[node.name], most) for node in nodes)
    latest = Table(HAPPENED, tuple(_row(one, now) for one in reversed(happened)), "nothing happened for an hour")
    parts = (*found.parts, Text(""), Table(NODES, rows, "no agent says which nodes take part"), Text(""), latest)
    document = {
        "status": found.document,
        "nodes": [{"name": node.name, "standing": node.standing.value, "addresses": has[node.name]} for node in nodes],
        "notWell": [_place(place) for place in places if not place.state.is_well],
        "happened": [entry(one) for one in happened],
    }
    return Answer(parts, document, found.is_well)


def _node(node: MemberNode, count: int, most: int) -> tuple[Cell, ...]:
    bar = "█" * (-(-BAR * count // most) if most else 0)
    standing = Text(node.standing.value, _TONES.get(node.standing, Tone.DOUBTFUL))
    return node.name, standing, str(count), Text(bar, Tone.FAINT), node.reason


def _row(one: Happening, now: datetime.datetime) -> tuple[Cell, ...]:
    seconds = max((now - one.at).total_seconds(), 0.0)
    ago = f"{seconds:.0f}s" if seconds < 120 else f"{seconds / 60:.0f}m"
    return ago, Text(one.kind.value, _KINDS.get(one.kind, Tone.FAINT)), one.about, one.told


def _place(place: Place) -> dict[str, str]:
    return {"service": str(place.service), "address": str(place.address or ""), "state": place.state.value}
