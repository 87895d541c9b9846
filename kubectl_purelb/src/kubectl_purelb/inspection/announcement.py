"""Whether a node can have a Service's addresses, and has them, undisturbed. Pure."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Iterator
from typing import Final

from kubectl_purelb.cluster import AGENT
from kubectl_purelb.happenings import latest
from kubectl_purelb.inspection.case import NAMED, Case, Mark, Step, edit
from kubectl_purelb.places import Place, State, is_routed, on_link, places_of
from purelb import names
from purelb.addresses import IPAddress, listed
from purelb.membership import Standing

RECENT: Final = datetime.timedelta(minutes=15)
"""For how long a warning about the wire counts: it is told again while it lasts."""
_TOGETHER: Final = datetime.timedelta(minutes=1)
"""An address that can't be announced for another host's sake is told so in two events, of which one says whose."""
STRANGER: Final = "find that host by its MAC, or give the Service another address"


def nodes(case: Case) -> Iterator[Step]:
    """Who could have its addresses."""
    gathering = case.cluster.gathering
    agents = f"kubectl describe pods -n {case.cluster.namespace} -l component={AGENT}"
    if gathering is None:
        yield Step("Nodes", Mark.DOUBTFUL, "no agent says which nodes take part", f"kubectl purelb status; {agents}")
    elif not gathering.nodes:
        yield Step("Nodes", Mark.FAILED, "no node takes part", agents)
    elif case.cluster.is_idle:
        yield Step("Nodes", Mark.FAILED, "no LBNodeAgent applies to a node", "kubectl describe lbnodeagents -A")
    else:
        for place in places_of(case.service, case.cluster):
            if place.address is not None:
                yield _who_can(case, place.address, place.group)


def _who_can(case: Case, address: IPAddress, group_name: str) -> Step:
    cluster, gathering = case.cluster, case.cluster.gathering
    assert gathering is not None, "asked for where there is one"
    group = cluster.group(group_name)
    spec = group.spec if group is not None else None
    if is_routed(address, group_name, cluster, gathering):
        serving = sum(node.standing is Standing.SERVING for node in gathering.nodes.values())
        told = f"{address} is on no node's subnet: it is routed by {serving} nodes that serve"
        return Step("Nodes", Mark.DONE, told)
    near = on_link(address, gathering)
    if not near:
        told = f"no node that takes part has a NIC in the subnet of {address}"
        remedy = "give the pool addresses of the nodes' subnet, make it a remote one, or see why those nodes are away"
        return Step("Nodes", Mark.FAILED, told, f"{remedy}: kubectl purelb nodes")
    chosen = near if spec is None or spec.announcers is None else near & spec.announcers
    if not chosen:
        told = f"the nodeSelector of ServiceGroup {group_name} chooses none of the nodes on the subnet of {address}"
        remedy = edit(group) if group is not None else "mend the nodeSelector"
        return Step("Nodes", Mark.FAILED, f"{told} ({listed(sorted(near), NAMED)})", remedy)
    members = [gathering.nodes[name] for name in sorted(chosen)]
    able = [node.name for node in members if node.standing is Standing.SERVING]
    if able:
        return Step("Nodes", Mark.DONE, f"{address} can be on {listed(able, NAMED)}")
    whys = listed([f"{node.name}: {node.reason or node.standing.value.lower()}" for node in members], NAMED)
    remedy = f"kubectl describe node {shlex.quote(members[0].name)}"
    return Step(
        "Nodes", Mark.DOUBTFUL, f"no node on the subnet of {address} serves ({whys}): one has it all the same", remedy
    )


def announced(case: Case) -> Iterator[Step]:
    """Who has them."""
    for place in places_of(case.service, case.cluster):
        if place.address is not None:
            yield _stands(case, place, place.address)


def _stands(case: Case, place: Place, address: IPAddress) -> Step:
    name, gathering = "Announced", case.cluster.gathering
    match place.state:
        case State.ROUTED:
            told = f"{address} is on {place.interface}: {place.why}; a router has to learn its route (docs/ecmp.md)"
            return Step(name, Mark.DONE, told)
        case State.ANNOUNCED:
            node = gathering.nodes.get(place.node) if gathering is not None else None
            told = f"{address} is on {place.interface} of {place.node}"
            if node is not None and node.standing is Standing.FAILING:
                return Step(name, Mark.DOUBTFUL, f"{told}, which fails: {node.reason or 'its data path does not work'}")
            if node is not None and node.is_behind:
                return Step(name, Mark.DOUBTFUL, f"{told}, whose agent doesn't hear from the API server")
            return Step(name, Mark.DONE, told)
        case _:
            return _missing(case, place, address)


def _missing(case: Case, place: Place, address: IPAddress) -> Step:
    """No node has it: whatever the agents said of that last."""
    mark = Mark.FAILED if place.state is State.NOWHERE else Mark.DOUBTFUL
    conflict = latest(case.events, names.REASON_ADDRESS_CONFLICT, address, case.now - RECENT)
    failed = latest(case.events, names.REASON_ANNOUNCEMENT_FAILED, address)
    if conflict is not None and (failed is None or failed.last - conflict.last < _TOGETHER):
        return Step("Announced", mark, conflict.message, STRANGER)
    told = failed.message if failed is not None else f"{address}: {place.why}"
    return Step("Announced", mark, told, f"kubectl logs -n {case.cluster.namespace} -l component={AGENT} --tail=100")


def wire(case: Case) -> Iterator[Step]:
    """Who else says to have them, or takes them away. Nothing is said where nobody does."""
    since = case.now - RECENT
    for address in case.service.ingress:
        conflict = latest(case.events, names.REASON_ADDRESS_CONFLICT, address, since)
        removed = latest(case.events, names.REASON_ADDRESS_REMOVED, address, since)
        if conflict is not None:
            yield Step("Wire", Mark.FAILED, conflict.message, STRANGER)
        elif removed is not None:
            yield Step("Wire", Mark.FAILED, removed.message, "tell that program to leave the address alone, as it says")
