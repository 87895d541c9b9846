"""What isn't well in a cluster: whom it concerns, why, and what to do. Pure.

What an operator has decided is no trouble: a node that is cordoned, a pool that has no more addresses than it needs.
"""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubectl_purelb.causes import is_installed, of_agent_configs, of_group, of_installation
from kubectl_purelb.cluster import AGENT, Cluster
from kubectl_purelb.places import Place, State
from purelb.checks import Finding as Cause
from purelb.membership import Standing
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
    shared = tuple(map(_told, of_installation(cluster, now)))
    if not is_installed(cluster):
        return shared
    configuration = (*(one for group in cluster.groups for one in of_group(group)), *of_agent_configs(cluster))
    return (*shared, *_of_nodes(cluster), *map(_told, configuration), *_of_services(cluster, places))


def _told(cause: Cause) -> Finding:
    return Finding(cause.about, cause.what, cause.remedy)


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
