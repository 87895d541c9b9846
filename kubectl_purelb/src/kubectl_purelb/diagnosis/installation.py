"""What is wrong with PureLB's own installation: programs, configuration, the cluster's version. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Final

from kubectl_purelb.cluster import AGENT, ALLOCATOR, Cluster
from kubectl_purelb.diagnosis.surroundings import Surroundings
from purelb.addresses import listed
from purelb.checks import Check, Finding
from purelb.membership import STALE, Standing

OLDEST: Final = (1, 25)
"""The first Kubernetes whose CRDs have rules."""
NAMED: Final = 5
"""Nodes that a sentence names."""


def of_installation(cluster: Cluster, around: Surroundings, now: datetime.datetime) -> Iterable[Finding]:
    """``now`` is the time of day."""
    if around.version is not None and around.version < OLDEST:
        there, oldest = ".".join(map(str, around.version)), ".".join(map(str, OLDEST))
        what = f"the cluster is of Kubernetes {there}, and PureLB's CRDs need {oldest}"
        yield Finding(Check.OLD_KUBERNETES, what, f"upgrade the cluster to {oldest} or later", "cluster")
    if not cluster.programs and cluster.gathering is None:
        what = f"neither its programs nor its agents' word are in namespace {cluster.namespace}"
        remedy = "kubectl apply -f manifests/purelb-complete.yaml, or name its namespace with --purelb-namespace"
        yield Finding(Check.NOT_INSTALLED, what, remedy, "PureLB")
        return
    yield from _programs(cluster)
    if others := sorted(around.homes - {cluster.namespace}):
        what = f"agents of another PureLB run too, in namespace {listed(others, NAMED)}"
        remedy = f"kubectl delete ds lbnodeagent -n {others[0]}, and its allocator, if they are what was before"
        yield Finding(Check.SECOND_PURELB, what, remedy, "PureLB")
    yield from _gathering(cluster, now)
    yield from _configuration(cluster)


def _programs(cluster: Cluster) -> Iterable[Finding]:
    for name in (ALLOCATOR, AGENT):
        program = cluster.programs.get(name)
        if program is None:
            what = f"its {'Deployment' if name == ALLOCATOR else 'DaemonSet'} isn't there"
            yield Finding(Check.PROGRAM_NOT_READY, what, "kubectl apply -f manifests/purelb-complete.yaml", name)
        elif program.ready < program.wanted or not program.wanted:
            what = f"{program.ready} of {program.wanted} pods are ready" if program.wanted else "no pod of it is wanted"
            remedy = f"kubectl describe pods -n {cluster.namespace} -l component={name}"
            yield Finding(Check.PROGRAM_NOT_READY, what, remedy, name)


def _gathering(cluster: Cluster, now: datetime.datetime) -> Iterable[Finding]:
    look = f"kubectl logs -n {cluster.namespace} -l component={AGENT}"
    gathering = cluster.gathering
    if gathering is None:
        what = "no agent says which nodes take part: there is no Membership object"
        yield Finding(
            Check.MEMBERSHIP_STALE, what, f"kubectl apply -f crds/memberships.purelb.io.yaml; {look}", "agents"
        )
        return
    age = (now - gathering.observed).total_seconds()
    if age > STALE:
        what = (
            f"no agent has said for {age / 60:.0f} min which nodes take part: none is there, or reaches the API server"
        )
        yield Finding(Check.MEMBERSHIP_STALE, what, look, "agents")
        return
    standings = {node.standing for node in gathering.nodes.values()}
    if gathering.nodes and standings == {Standing.EXCLUDED}:
        what = "each of its nodes is cordoned, or labelled so that it carries no load balancer traffic"
        remedy = (
            "kubectl label nodes --all node.kubernetes.io/exclude-from-external-load-balancers-, or kubectl uncordon"
        )
        yield Finding(Check.NOBODY_SERVES, what, remedy, "nodes")


def _configuration(cluster: Cluster) -> Iterable[Finding]:
    for config in cluster.configs:
        if config.trouble:
            remedy = f"kubectl edit lbnodeagent {config.name} -n {config.namespace}"
            yield Finding(Check.AGENT_CONFIG, config.trouble, remedy, f"LBNodeAgent {config.name}")
