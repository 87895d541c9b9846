"""Whether a Service's addresses can go to a node, and why they can't. Pure.

What is asked for is a wish, which the allocator follows by its plan (docs/placement.md): so it is refused here, with a
sentence, where the wish would stay one.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_purelb.cluster import Cluster, Gathering
from kubectl_purelb.places import Place, State, on_link, places_of
from purelb import names
from purelb.addresses import listed
from purelb.membership import Standing
from purelb.services import ServiceView

EVEN = (
    "kubectl patch lbnodeagent NAME -n {namespace} --type merge -p "
    """'{{"spec":{{"local":{{"placement":"even"}}}}}}'"""
)


def obstacle(service: ServiceView, node: str, cluster: Cluster, ready: frozenset[str]) -> str | None:
    """Why its addresses can't go to ``node``; ``ready``: the nodes with a ready endpoint of it. None: they can."""
    gathering = cluster.gathering
    if gathering is None:
        return "no agent says which nodes take part, so nobody can tell who could have it"
    return next(
        (
            sentence
            for sentence in (
                _of_node(node, gathering),
                _of_service(service, node, cluster, ready),
                *_of_addresses(service, node, cluster, gathering),
            )
            if sentence is not None
        ),
        None,
    )


def _of_node(name: str, gathering: Gathering) -> str | None:
    node = gathering.nodes.get(name)
    if node is None:
        return f'"{name}" is none of the nodes that take part: {listed(sorted(gathering.nodes), 8)}'
    if node.standing is not Standing.SERVING:
        return f"{name} doesn't serve: {node.reason or node.standing.value.lower()}"
    if node.is_behind:
        return f"the agent of {name} doesn't hear from the API server"
    if not node.speaks:
        return f"the agent of {name} is none that follows plans"
    return None


def _of_service(service: ServiceView, node: str, cluster: Cluster, ready: frozenset[str]) -> str | None:
    if not cluster.is_ours(service):
        return f"{service.key} isn't PureLB's to serve: kubectl purelb inspect {service.key}"
    if not service.ingress or not service.is_branded:
        return f"{service.key} has no address of PureLB's: kubectl purelb inspect {service.key}"
    if service.external_traffic_policy == "Local" and node not in ready:
        return f"the traffic policy of {service.key} is Local, and {node} has no ready endpoint of it"
    return None


def _of_addresses(service: ServiceView, node: str, cluster: Cluster, gathering: Gathering) -> Iterator[str | None]:
    for place in places_of(service, cluster):
        address = place.address
        if address is None:
            continue
        near, group = on_link(address, gathering), cluster.group(place.group)
        announcers = group.spec.announcers if group is not None and group.spec is not None else None
        if place.state is State.ROUTED:
            yield f"{address} is on no node's subnet: every node has it, and none is to be chosen"
        elif node not in near:
            yield f"{node} has no NIC in the subnet of {address}: {listed(sorted(near), 8) or 'no node'} has"
        elif announcers is not None and node not in announcers:
            yield f"the nodeSelector of ServiceGroup {place.group} leaves {node} out"
        elif any(not gathering.nodes[name].speaks for name in near):
            yield f"an agent on the subnet of {address} knows the hash rule alone, so that all go by it"
        elif not cluster.is_planned(group):
            command = EVEN.format(namespace=cluster.namespace)
            yield f"{address} is placed by the hash rule, which nobody can ask for anything; plan it: {command}"
        else:
            yield _of_sharers(service, place, cluster)


def _of_sharers(service: ServiceView, place: Place, cluster: Cluster) -> str | None:
    """Of Services that share an address, the first by name that has a wish decides."""
    for other in cluster.ours:
        if other.key < service.key and place.address in other.ingress and names.PREFERRED_NODES in other.annotations:
            return f"{place.address} is shared with {other.key}, whose {names.PREFERRED_NODES} decides"
    return None


def is_there(service: ServiceView, node: str, cluster: Cluster) -> bool:
    """Whether all of its addresses are announced by ``node``."""
    return all(place.state is State.ANNOUNCED and place.node == node for place in places_of(service, cluster))
