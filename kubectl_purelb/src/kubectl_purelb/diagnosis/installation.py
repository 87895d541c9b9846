"""What is wrong with PureLB's installation beside what its objects say: the cluster's version, a second one. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Final

from kubectl_purelb import causes
from kubectl_purelb.cluster import Cluster
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
    yield from causes.of_installation(cluster, now)
    if not causes.is_installed(cluster):
        return
    if others := sorted(around.homes - {cluster.namespace}):
        what = f"agents of another PureLB run too, in namespace {listed(others, NAMED)}"
        remedy = f"kubectl delete ds lbnodeagent -n {others[0]}, and its allocator, if they are what was before"
        yield Finding(Check.SECOND_PURELB, what, remedy, "PureLB")
    yield from _serving(cluster, now)
    yield from causes.of_agent_configs(cluster)


def _serving(cluster: Cluster, now: datetime.datetime) -> Iterable[Finding]:
    gathering = cluster.gathering
    if gathering is None or (now - gathering.observed).total_seconds() > STALE:
        return
    standings = {node.standing for node in gathering.nodes.values()}
    if standings == {Standing.EXCLUDED}:
        what = "each of its nodes is cordoned, or labelled so that it carries no load balancer traffic"
        remedy = (
            "kubectl label nodes --all node.kubernetes.io/exclude-from-external-load-balancers-, or kubectl uncordon"
        )
        yield Finding(Check.NOBODY_SERVES, what, remedy, "nodes")
