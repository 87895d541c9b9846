"""``status``: all of PureLB on one screen, healthy or what isn't. Pure."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from typing import Final

from kubectl_purelb.answers import Answer, Table, Text, Tone
from kubectl_purelb.cluster import AGENT, ALLOCATOR, Cluster
from kubectl_purelb.health import Finding, findings
from kubectl_purelb.places import State, all_places
from purelb.membership import Standing

SHOWN: Final = 20
"""Findings on the screen; the document has all of them."""


def status(cluster: Cluster, now: datetime.datetime) -> Answer:
    """``now`` is the time of day."""
    places = all_places(cluster)
    found = findings(cluster, places, now)
    states = Counter(place.state for place in places)
    rows = (
        ("allocator", _program(cluster, ALLOCATOR)),
        ("node agents", _program(cluster, AGENT)),
        ("nodes", _nodes(cluster, now)),
        ("pools", _pools(cluster)),
        ("services", _services(cluster, states)),
    )
    document = {
        "healthy": not found,
        "namespace": cluster.namespace,
        "programs": {one.name: {"ready": one.ready, "wanted": one.wanted} for one in cluster.programs.values()},
        "nodes": _standings(cluster),
        "services": len(cluster.ours),
        "addresses": {state.value: count for state, count in states.items() if state is not State.PENDING},
        "findings": [{"about": one.about, "why": one.why, "remedy": one.remedy} for one in found],
    }
    parts: list[Table | Text] = [_head(cluster, found), Table(("", ""), rows), *_told(found)]
    return Answer(tuple(parts), document, is_well=not found)


def _head(cluster: Cluster, found: Sequence[Finding]) -> Text:
    where = f"PureLB in namespace {cluster.namespace}"
    if not found:
        return Text(f"{where}: healthy", Tone.GOOD)
    return Text(f"{where}: {len(found)} {'thing is' if len(found) == 1 else 'things are'} not well", Tone.BAD)


def _told(found: Sequence[Finding]) -> list[Text]:
    lines = []
    for one in found[:SHOWN]:
        lines += [Text(f"✗ {one.about}: {one.why}", Tone.BAD), Text(f"  → {one.remedy}")]
    if len(found) > SHOWN:
        lines.append(Text(f"… and {len(found) - SHOWN} more: -o json tells all"))
    return [Text(""), *lines] if lines else []


def _program(cluster: Cluster, name: str) -> str:
    program = cluster.programs.get(name)
    return "not there" if program is None else f"{program.ready} of {program.wanted} ready"


def _standings(cluster: Cluster) -> dict[str, int]:
    nodes = cluster.gathering.nodes.values() if cluster.gathering is not None else ()
    counts = Counter(node.standing for node in nodes)
    return {standing.value: counts[standing] for standing in Standing if counts[standing]}


def _nodes(cluster: Cluster, now: datetime.datetime) -> str:
    gathering = cluster.gathering
    if gathering is None:
        return "not known"
    counts = ", ".join(f"{count} {name.lower()}" for name, count in _standings(cluster).items()) or "none"
    seconds = max((now - gathering.observed).total_seconds(), 0)
    return f"{counts} (told {seconds:.0f} s ago by {gathering.spokesman})"


def _pools(cluster: Cluster) -> str:
    served = sum(group.is_served is True for group in cluster.groups)
    full = sum(bool(group.full) for group in cluster.groups)
    text = f"{served} of {len(cluster.groups)} served" if cluster.groups else "none: no Service gets an address"
    return text + (f", {full} full" if full else "")


def _services(cluster: Cluster, states: Counter[State]) -> str:
    counts = ", ".join(f"{states[state]} {state.value.lower()}" for state in State if states[state])
    return f"{len(cluster.ours)}, their addresses: {counts}" if counts else str(len(cluster.ours))
