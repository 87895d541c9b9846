"""Who is there, as the gossip's spokesman publishes it: one ``Membership`` object, written when something changes.

``status.nodes`` has an entry per node that takes part; the allocator plans placements from it, people and the plugin
read it. Values, their parsing and their text; no I/O.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from purelb.addresses import IPNetwork, parse_network
from purelb.errors import AddressError

Json: TypeAlias = Mapping[str, Any]

NAME: Final = "purelb"
"""Of the one object, in PureLB's namespace."""
MOST_NODES: Final = 5000
"""Entries that are read: Kubernetes has no larger clusters."""


class Standing(enum.Enum):
    """How a node takes part, best first; the value is what the object says."""

    SERVING = "Serving"
    """A candidate whose data path works."""
    EXCLUDED = "Excluded"
    """Its data path works, but its Node is cordoned or labelled so that it carries no load balancer traffic."""
    FAILING = "Failing"
    """Its data path doesn't work."""
    STARTING = "Starting"
    """It doesn't know yet what is wanted, or who else is there."""
    LEAVING = "Leaving"
    """It shuts down and hands its VIPs over."""


@dataclass(frozen=True, slots=True)
class MemberNode:
    """A node in the gossip."""

    name: str
    standing: Standing
    reason: str = ""
    """Why it isn't serving, as a clause."""
    subnets: frozenset[IPNetwork] = frozenset()
    """On which it can announce."""
    speaks: bool = True
    """Whether its agent is one of ours, and reads placements; PureLB's own agents know the hash rule alone."""
    version: str = ""
    """Of its agent."""


def parse_membership(body: Json) -> dict[str, MemberNode]:
    """The nodes by name. Lenient: what can't be read is left out, an unknown standing counts as failing."""
    found: dict[str, MemberNode] = {}
    for entry in ((body.get("status") or {}).get("nodes") or ())[:MOST_NODES]:
        name = entry.get("name")
        if not name:
            continue
        known = Standing._value2member_map_.get(entry.get("standing"), Standing.FAILING)
        assert isinstance(known, Standing)
        found[name] = MemberNode(
            name=name,
            standing=known,
            reason=entry.get("reason") or "",
            subnets=frozenset(_networks(entry.get("subnets") or ())),
            speaks=entry.get("agent") != "Other",
            version=entry.get("version") or "",
        )
    return found


def _networks(texts: Any) -> list[IPNetwork]:
    found = []
    for text in texts:
        try:
            found.append(parse_network(str(text)))
        except AddressError:
            continue
    return found


def membership_status(nodes: Mapping[str, MemberNode], vips: int) -> dict[str, Any]:
    """The object's status: a summary for ``kubectl get``, and the nodes by name. ``vips``: how many are wanted."""
    ordered = [nodes[name] for name in sorted(nodes)]
    serving = sum(node.standing is Standing.SERVING for node in ordered)
    others = "; ".join(
        f"{node.name}: {node.reason or node.standing.value.lower()}"
        for node in ordered
        if node.standing is not Standing.SERVING
    )
    return {
        "serving": f"{serving}/{len(ordered)}",
        "vips": vips,
        "others": others if len(others) <= 256 else others[:253] + "...",
        "nodes": [_entry(node) for node in ordered],
    }


def _entry(node: MemberNode) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": node.name, "standing": node.standing.value}
    if node.reason:
        entry["reason"] = node.reason
    if node.subnets:
        entry["subnets"] = [str(one) for one in sorted(node.subnets, key=lambda one: (one.version, one))]
    entry["agent"] = "PureLB" if node.speaks else "Other"
    if node.version:
        entry["version"] = node.version
    return entry
