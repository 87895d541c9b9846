"""What the agents say of their nodes, and what only shows when their words are compared. Pure."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable
from typing import Final

from kubectl_purelb.cluster import AGENT, Cluster
from kubectl_purelb.diagnosis.surroundings import NodeWord, Surroundings
from purelb.addresses import IPNetwork, listed
from purelb.checks import Check, Finding
from purelb.membership import Standing

SKEW: Final = 5.0
"""Seconds by which a node's clock may differ from the API server's; what is in between takes its time too."""
SILENT: Final = 300.0
"""Seconds after which an agent that hasn't renewed its Lease is silent: it does so each minute."""
NAMED: Final = 5


def of_nodes(cluster: Cluster, around: Surroundings, now: datetime.datetime) -> Iterable[Finding]:
    """``now`` is the time of day."""
    members = cluster.gathering.nodes.values() if cluster.gathering is not None else ()
    speaking = [member.name for member in members if member.speaks and member.standing is not Standing.LEAVING]
    words = [word for word in (around.words.get(name) for name in speaking) if word is not None]
    silent = [name for name in speaking if _is_silent(around.words.get(name), now)]
    if silent:
        what = f"the agents of {listed(silent, NAMED)} say nothing of their nodes: they have no Lease that is kept up"
        remedy = (
            f"kubectl get lease -n {cluster.namespace}; see that PURELB_NODE_LEASE isn't false, that the role "
            f"purelb:lbnodeagent-lease is there, and kubectl logs -n {cluster.namespace} -l component={AGENT}"
        )
        yield Finding(Check.AGENT_SILENT, what, remedy, "agents")
    yield from _keys(words, cluster)
    yield from _clocks(words)
    yield from _mtus(words)
    for word in words:
        if word.node not in silent:
            yield from word.findings or ()


def _is_silent(word: NodeWord | None, now: datetime.datetime) -> bool:
    if word is None or word.findings is None:
        return True
    return word.heard is not None and (now - word.heard).total_seconds() > SILENT


def _keys(words: list[NodeWord], cluster: Cluster) -> Iterable[Finding]:
    """Two nodes understand each other while each opens what the other seals."""
    keyed = [word for word in words if word.facts.keys]
    if not keyed:
        return
    usual, _ = Counter(word.facts.keys[0] for word in keyed).most_common(1)[0]
    others = [word.node for word in keyed if usual not in word.facts.keys]
    if others:
        what = f"the agents of {listed(others, NAMED)} have another gossip key than the rest, and aren't understood"
        remedy = (
            f"kubectl rollout restart ds/{AGENT} -n {cluster.namespace}, once all are given the same: the Secret "
            "purelb-gossip, and no ML_GROUP that differs"
        )
        yield Finding(Check.GOSSIP_KEY_DIFFERS, what, remedy, "agents")


def _clocks(words: list[NodeWord]) -> Iterable[Finding]:
    for word in words:
        if word.said is None or word.heard is None:
            continue
        ahead = (word.said - word.heard).total_seconds()
        # The server's time has no fractions, and what was written was on its way for a moment.
        if abs(ahead) > SKEW:
            direction = "ahead of" if ahead > 0 else "behind"
            what = f"its clock is {abs(ahead):.0f} s {direction} the API server's"
            remedy = (
                "systemctl restart chrony (or systemd-timesyncd) on the node; timedatectl tells whether it's in step"
            )
            yield Finding(Check.CLOCK_SKEW, what, remedy, f"node {word.node}")


def _mtus(words: list[NodeWord]) -> Iterable[Finding]:
    of: dict[IPNetwork, dict[int, list[str]]] = {}
    for word in words:
        for subnet, mtu in word.facts.mtus.items():
            of.setdefault(subnet, {}).setdefault(mtu, []).append(word.node)
    for subnet, by_mtu in of.items():
        if len(by_mtu) > 1:
            usual = max(by_mtu, key=lambda mtu: (len(by_mtu[mtu]), mtu))
            others = [f"{node} {mtu}" for mtu, nodes in sorted(by_mtu.items()) if mtu != usual for node in nodes]
            what = f"on {subnet} the nodes' NICs have an MTU of {usual}, but for {listed(others, NAMED)}"
            remedy = f"ip link set dev NIC mtu {usual} on the node, and where its network is configured"
            yield Finding(Check.MTU_DIFFERS, what, remedy, "nodes")
