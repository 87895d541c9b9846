"""What is wrong with PureLB's installation by its own objects, as ``status`` and ``doctor`` tell it. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Final

from kubectl_purelb.cluster import AGENT, ALLOCATOR, Cluster, Group
from purelb.checks import Check, Finding
from purelb.membership import STALE

APPLY: Final = "kubectl apply -f manifests/purelb-complete.yaml"


def of_installation(cluster: Cluster, now: datetime.datetime) -> Iterable[Finding]:
    """The causes before what follows from them. ``now`` is the time of day."""
    if not is_installed(cluster):
        what = f"neither its programs nor its agents' word are in namespace {cluster.namespace}"
        yield Finding(
            Check.NOT_INSTALLED, what, f"{APPLY}, or name the namespace that it is in: --purelb-namespace", "PureLB"
        )
        return
    for name, kind in ((ALLOCATOR, "Deployment"), (AGENT, "DaemonSet")):
        program = cluster.programs.get(name)
        if program is None:
            what = f"there is no such {kind} in namespace {cluster.namespace}"
            yield Finding(Check.PROGRAM_NOT_READY, what, APPLY, name)
        elif program.ready < program.wanted or not program.wanted:
            what = f"{program.ready} of {program.wanted} pods are ready" if program.wanted else "no pod of it is wanted"
            yield Finding(Check.PROGRAM_NOT_READY, what, _look_at_pods(cluster, name), name)
    yield from _of_membership(cluster, now)


def is_installed(cluster: Cluster) -> bool:
    """Whether there is anything of it."""
    return bool(cluster.programs) or cluster.gathering is not None


def _of_membership(cluster: Cluster, now: datetime.datetime) -> Iterable[Finding]:
    gathering = cluster.gathering
    if gathering is None:
        what = "no agent says which nodes take part: there is no Membership object"
        remedy = f"kubectl apply -f crds/memberships.purelb.io.yaml; {_look_at_pods(cluster, AGENT)}"
        yield Finding(Check.MEMBERSHIP_STALE, what, remedy, "nodes")
    elif (age := (now - gathering.observed).total_seconds()) > STALE:
        what = (
            f"no agent has said for {age / 60:.0f} min which nodes take part: none is there, or reaches the API server"
        )
        remedy = f"{_look_at_pods(cluster, AGENT)}; kubectl logs -n {cluster.namespace} -l component={AGENT}"
        yield Finding(Check.MEMBERSHIP_STALE, what, remedy, "nodes")


def _look_at_pods(cluster: Cluster, component: str) -> str:
    return f"kubectl describe pods -n {cluster.namespace} -l component={component}"


def of_group(group: Group) -> Iterable[Finding]:
    """That a ServiceGroup isn't served."""
    if group.trouble:
        yield Finding(Check.POOL_REFUSED, group.trouble, edit(group), f"pool {group.name}")


def of_agent_configs(cluster: Cluster) -> Iterable[Finding]:
    """LBNodeAgents that aren't used."""
    for config in cluster.configs:
        if config.trouble:
            remedy = f"kubectl edit lbnodeagent {config.name} -n {config.namespace}"
            yield Finding(Check.AGENT_CONFIG, config.trouble, remedy, f"LBNodeAgent {config.name}")


def edit(group: Group) -> str:
    """The command that mends a ServiceGroup."""
    return f"kubectl edit servicegroup {group.name} -n {group.namespace}"
