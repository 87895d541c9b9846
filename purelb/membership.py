"""Who is there, as the gossip's spokesman publishes it: one ``Membership`` object, written when something changes.

``status.nodes`` has an entry per node that takes part; the allocator plans placements from it, people and the plugin
read it. A node that died has no entry any more, at once.

While there is nothing to change, the spokesman says each RENEWAL that it is still so (``status.observed``, for people;
the object's resourceVersion changes with it). Whoever follows the object tells by its own clock, never by comparing
two nodes' clocks, whether it is current: one that hasn't changed for STALE seconds is nobody's word any more, as no
agent is there, or none reaches the API server. What it said last is then still the best that is known.

Values, their parsing and their text; no I/O.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from purelb.addresses import IPNetwork, excerpt, listed, parse_network
from purelb.checks import REASONS, Check
from purelb.errors import AddressError

Json: TypeAlias = Mapping[str, Any]

NAME: Final = "purelb"
"""Of the one object, in PureLB's namespace."""
RENEWAL: Final = 120.0
"""Seconds after which the spokesman writes what it wrote last once more."""
STALE: Final = 300.0
"""Seconds without a change after which the object isn't current: two renewals and a half."""
MOST_NODES: Final = 5000
"""Entries that are written and read: Kubernetes has no larger clusters."""
_MOST_SUBNETS: Final = 32
"""Of a node; more than an agent's gossip has room for, in practice."""
WELL: Final = "NodesWell"
"""The condition that says whether no agent finds anything wrong around its node."""
_NAMED: Final = 5
"""Nodes that a sentence names."""
_LONGEST: Final = 256
"""Characters of a reason, and of the summary."""
_NODE: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""The name of a Node (RFC 1123); who has the gossip's key can be a member under any other."""


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
    """Whether its agent is one of ours that reads placements; older ones, and PureLB's, know the hash rule alone."""
    version: str = ""
    """Of its agent."""
    vips: int = 0
    """That it owns by election, on its NICs; addresses that are routed are every node's."""
    is_behind: bool = False
    """Its agent doesn't hear what becomes of Services: it knows no plan that was made since."""
    found_wrong: frozenset[Check] = frozenset()
    """Checks that find something wrong around it, as its agent says."""
    weight: int = 1
    """How many VIPs it has beside the others, for people to read: the allocator knows it from where it is said."""


@dataclass(frozen=True, slots=True)
class Attendance:
    """Who is there, as the gossip's spokesman knows it; without nodes: by one that isn't the spokesman."""

    nodes: tuple[MemberNode, ...] = ()
    """By name."""
    vips: int = 0
    """That are wanted."""
    nowhere: int = 0
    """Those of them that no node has, for longer than a moment."""
    is_standin: bool = False
    """Told by the next in line, which writes it only while the spokesman doesn't."""


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
            vips=entry.get("vips") or 0,
            is_behind=entry.get("behind") is True,
            weight=entry.get("weight", 1),
            found_wrong=frozenset(_checks(entry.get("findings") or ())),
        )
    return found


def _checks(texts: Any) -> list[Check]:
    known = (Check._value2member_map_.get(text) for text in texts if isinstance(text, str))
    return [check for check in known if isinstance(check, Check)]


def _networks(texts: Any) -> list[IPNetwork]:
    found = []
    for text in texts:
        try:
            found.append(parse_network(str(text)))
        except AddressError:
            continue
    return found


def membership_status(
    nodes: Mapping[str, MemberNode],
    vips: int,
    *,
    spokesman: str = "",
    nowhere: int = 0,
    observed: str = "",
    known: Iterable[Json] = (),
) -> dict[str, Any]:
    """The object's status, each field always there: a summary for ``kubectl get``, and the nodes by name.

    ``vips``: how many are wanted, of which no node has ``nowhere``. ``observed``: when, RFC 3339. ``known``: the
    conditions that it has.
    """
    ordered = [nodes[name] for name in sorted(nodes) if _NODE.fullmatch(name)][:MOST_NODES]
    serving = sum(node.standing is Standing.SERVING for node in ordered)
    others = "; ".join(
        f"{node.name}: {node.reason or node.standing.value.lower()}"
        for node in ordered
        if node.standing is not Standing.SERVING
    )
    return {
        "serving": f"{serving}/{len(ordered)}",
        "vips": vips,
        "nowhere": nowhere,
        "others": excerpt(others, _LONGEST),
        "spokesman": spokesman,
        "observed": observed or None,
        "conditions": _conditions(ordered, {str(one.get("type")): one for one in known}, observed),
        "nodes": [_entry(node) for node in ordered],
    }


def _conditions(nodes: Sequence[MemberNode], known: Mapping[str, Json], now: str) -> list[dict[str, Any]]:
    """Whether all is well around the nodes, and a condition for each check that finds something, naming them."""
    on: dict[Check, list[str]] = {}
    for node in nodes:
        for check in node.found_wrong:
            on.setdefault(check, []).append(node.name)
    found = sorted(on, key=lambda check: check.value)
    told = "; ".join(f"{check.value} on {listed(on[check], _NAMED)}" for check in found)
    advice = "kubectl purelb doctor says what to do"
    told = f"{excerpt(told, _LONGEST)}: {advice}" if told else "no agent finds anything wrong around its node"
    conditions = [_condition(WELL, not found, "Findings" if found else "NoFindings", told, known, now)]
    for check in found:
        message = f"found on {listed(on[check], _NAMED)}: {advice}"
        conditions.append(_condition(REASONS[check], True, "Found", message, known, now))
    return conditions


def _condition(
    kind: str, holds: bool, reason: str, message: str, known: Mapping[str, Json], now: str
) -> dict[str, Any]:
    before = known.get(kind)
    since = before.get("lastTransitionTime") if before is not None and before.get("status") == str(holds) else None
    return {
        "type": kind,
        "status": str(holds),
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or now or None,
    }


def _entry(node: MemberNode) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": node.name, "standing": node.standing.value}
    if node.reason:
        entry["reason"] = excerpt(node.reason, _LONGEST)
    if node.subnets:
        ordered = sorted(node.subnets, key=lambda one: (one.version, one))
        entry["subnets"] = [str(one) for one in ordered[:_MOST_SUBNETS]]
    entry["vips"] = node.vips
    entry["agent"] = "PureLB" if node.speaks else "Other"
    if node.weight != 1:
        entry["weight"] = node.weight
    if node.is_behind:
        entry["behind"] = True
    if node.found_wrong:
        entry["findings"] = sorted(check.value for check in node.found_wrong)
    if node.version:
        entry["version"] = excerpt(node.version, _LONGEST)
    return entry
