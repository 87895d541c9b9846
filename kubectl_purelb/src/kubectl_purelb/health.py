"""What isn't well in a cluster: whom it concerns, why, and what to do. Pure.

What an operator has decided is no trouble: a node that is cordoned, a pool that has no more addresses than it needs.
"""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubectl_purelb.cluster import AGENT, ALLOCATOR, Cluster, Program
from kubectl_purelb.places import Place, State
from purelb.membership import STALE, Standing
from purelb.names import GOSSIP_PORT


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that isn't well."""

    about: str
    why: str
    """A clause."""
    remedy: str
    """What to do, beginning with a verb or a command."""


def findings(cluster: Cluster, places: Sequence[Place], now: datetime.datetime) -> tuple[Finding, ...]:
    """All of them, the causes before what follows from them. ``now`` is the time of day."""
    if not cluster.programs and cluster.gathering is None:
        return (_not_installed(cluster),)
    return (
        *_of_programs(cluster),
        *_of_gathering(cluster, now),
        *_of_nodes(cluster),
        *_of_configuration(cluster),
        *_of_services(cluster, places),
    )


def _not_installed(cluster: Cluster) -> Finding:
    return Finding(
        "PureLB",
        f"neither its programs nor its agents' word are in namespace {cluster.namespace}",
        "kubectl apply -f manifests/purelb-complete.yaml, or name the namespace that it is in: --purelb-namespace",
    )


def _of_programs(cluster: Cluster) -> Iterable[Finding]:
    for name, kind in ((ALLOCATOR, "Deployment"), (AGENT, "DaemonSet")):
        program = cluster.programs.get(name)
        if program is None:
            yield Finding(name, f"there is no such {kind} in namespace {cluster.namespace}", "install PureLB anew")
        elif program.ready < program.wanted or program.wanted == 0:
            yield Finding(name, _of_pods(program), _look_at_pods(cluster, name))


def _of_pods(program: Program) -> str:
    return f"{program.ready} of {program.wanted} pods are ready" if program.wanted else "no pod of it is wanted"


def _look_at_pods(cluster: Cluster, component: str) -> str:
    return f"kubectl describe pods -n {cluster.namespace} -l component={component}"


def _of_gathering(cluster: Cluster, now: datetime.datetime) -> Iterable[Finding]:
    gathering = cluster.gathering
    if gathering is None:
        yield Finding(
            "nodes",
            "no agent says which nodes take part (there is no Membership object)",
            f"see that crds/memberships.purelb.io.yaml is applied; {_look_at_pods(cluster, AGENT)}",
        )
    elif (age := (now - gathering.observed).total_seconds()) > STALE:
        yield Finding(
            "nodes",
            f"no agent has said for {age / 60:.0f} min which nodes take part",
            f"{_look_at_pods(cluster, AGENT)}; they may not reach the API server",
        )


def _of_nodes(cluster: Cluster) -> Iterable[Finding]:
    if cluster.gathering is None:
        return
    for node in cluster.gathering.nodes.values():
        if node.standing is Standing.FAILING:
            yield Finding(
                f"node {node.name}",
                node.reason or "its data path doesn't work",
                f"kubectl describe node {shlex.quote(node.name)}; meanwhile its addresses are on other nodes",
            )
        if node.is_behind:
            yield Finding(
                f"node {node.name}",
                "its agent doesn't hear from the API server what becomes of Services",
                "see why the node doesn't reach the API server",
            )
    agents, heard = cluster.programs.get(AGENT), len(cluster.gathering.nodes)
    if agents is not None and agents.ready > heard:
        yield Finding(
            "nodes",
            f"{agents.ready} agents are ready, and only {heard} of them hear each other",
            f"kubectl get nodes says whether one died; else open port {GOSSIP_PORT}, TCP and UDP, between all nodes",
        )


def _of_configuration(cluster: Cluster) -> Iterable[Finding]:
    for group in cluster.groups:
        if group.trouble:
            remedy = f"kubectl edit servicegroup {group.name} -n {group.namespace}"
            yield Finding(f"pool {group.name}", group.trouble, remedy)
    for config in cluster.configs:
        if config.trouble:
            remedy = f"kubectl edit lbnodeagent {config.name} -n {config.namespace}"
            yield Finding(f"LBNodeAgent {config.name}", config.trouble, remedy)


def _of_services(cluster: Cluster, places: Sequence[Place]) -> Iterable[Finding]:
    for place in places:
        if not place.state.is_well:
            what = f"{place.address}: {place.why}" if place.address is not None else place.why
            yield Finding(
                f"service {place.service}",
                what,
                f"kubectl purelb inspect {place.service}",
            )
    nowhere = sum(place.state is State.NOWHERE for place in places)
    if cluster.gathering is not None and cluster.gathering.nowhere > nowhere:
        yield Finding(
            "nodes",
            f"{cluster.gathering.nowhere} addresses are on no node, as the agents say",
            "kubectl get events -A --field-selector reason=AnnouncementFailed",
        )
