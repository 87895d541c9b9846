"""What must not come of an incident that breaks no node: of strangers, of tenants, of an API server that says no.

Pure. What agents never do, whatever happens, is constitution.py's; here is what may not follow from certain incidents,
seen by what nodes' kernels had and by what the API server shows when all is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, Literal, TypeAlias, get_args

from bench.incidents import API, HARMLESS, STRANGERS, Incident, Kind
from bench.wire import Change, Holdings
from purelb.election import ranking
from purelb.names import ANNOUNCING_IPV4, ANNOUNCING_IPV6

Consequence: TypeAlias = Literal["moved", "stranger untold", "annotation wrong", "newcomer unserved"]
"""A node lost a VIP that it had, by nothing else; nobody told of a host that answered for a VIP all the time; the
annotation of a Service doesn't say who has its VIP; a new Service gets no address, or nobody has it."""
CONSEQUENCES: Final[tuple[Consequence, ...]] = get_args(Consequence)
STEADY: Final = API | STRANGERS | HARMLESS | frozenset[Kind](("tenant",))
"""What moves no VIP."""
AFTERMATH: Final = 15.0
"""Seconds for which a VIP may still move because of an incident that is over: an agent starts, a node is back."""
NOTICED: Final = 66.0
"""Seconds after which an owner has noticed a host that answers for its VIP: it asks once a minute (RFC 5227), and once
more after 3 s."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What was there while incidents happened, and what is there now that all is over."""

    incidents: Sequence[Incident]
    """As they really happened."""
    held: Holdings
    changes: Sequence[Change]
    nodes: Sequence[str]
    vips: Mapping[str, str]
    """By the Service's name."""
    told: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By Service: the messages of its conflicts."""
    annotations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By Service."""
    holders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By VIP."""
    unserved: Iterable[str] = ()
    """What is wrong with a Service that was made afterwards, one sentence each."""


def consequences(seen: Aftermath) -> dict[Consequence, list[str]]:
    """Each, with a sentence for each time."""
    return {
        "moved": [sentence for incident in seen.incidents for sentence in _moved(seen, incident)],
        "stranger untold": [sentence for incident in seen.incidents for sentence in _untold(seen, incident)],
        "annotation wrong": [*wrong_annotations(seen)],
        "newcomer unserved": [*seen.unserved],
    }


def _moved(seen: Aftermath, incident: Incident) -> Iterable[str]:
    """The VIPs that a node had when this began, and lost before it was over, without anything else that explains it."""
    if incident.kind not in STEADY:
        return
    for change in seen.changes:
        if change.is_there or change.address not in seen.vips.values() or not incident.begin < change.at < incident.end:
            continue
        spans = seen.held.holders(change.address).get(change.node, ())
        if any(since <= incident.begin and to == change.at for since, to in spans) and not _is_explained(seen, change):
            yield f"{change.node} lost {change.address} {change.at - incident.begin:.1f} s after {incident.kind} began"


def _is_explained(seen: Aftermath, change: Change) -> bool:
    """Whether something befell the node, one that has the VIP before it, the Service, or the key of the gossip."""
    order = ranking(seen.nodes, change.address)
    before = set(order[: order.index(change.node) + 1])
    for one in seen.incidents:
        if not one.begin <= change.at <= one.end + AFTERMATH or one.kind in STEADY:
            continue
        of_service = one.kind in ("foreign-status", "stripped") and one.of([*seen.vips.values()]) == change.address
        if one.node in before or of_service or one.kind == "key-deleted":
            return True
    return False


def _untold(seen: Aftermath, incident: Incident) -> Iterable[str]:
    """Of a host that answered for a VIP which one node had for so long that it must have noticed."""
    if incident.kind != "answer":
        return
    service = incident.of([*seen.vips])
    vip = seen.vips[service]
    for node, spans in seen.held.holders(vip).items():
        is_long = any(min(to, incident.end) - max(since, incident.begin) >= NOTICED for since, to in spans)
        if is_long and not _is_kept_from_it(seen, node, incident) and not any(vip in one for one in seen.told[service]):
            yield f"{node} had {vip} for more than {NOTICED:g} s of {incident.kind}, and says nothing of the other host"


def _is_kept_from_it(seen: Aftermath, node: str, incident: Incident) -> bool:
    """Whether the node was broken meanwhile, and so may have asked when nobody could answer."""
    broken = (one for one in seen.incidents if one.node == node and one.kind not in STEADY)
    return any(one.begin < incident.end and one.end > incident.begin for one in broken)


def wrong_annotations(seen: Aftermath) -> Iterable[str]:
    """Of Services whose annotation names another node than the one that has the VIP."""
    for service, notes in seen.annotations.items():
        vip = seen.vips[service]
        said = notes.get(ANNOUNCING_IPV4 if ip_address(vip).version == 4 else ANNOUNCING_IPV6, "")
        if [said.partition(",")[0]] != list(seen.holders.get(vip, ())):
            yield f"{service}: {vip} is on {', '.join(seen.holders.get(vip, ())) or 'no node'}, and says {said!r}"
