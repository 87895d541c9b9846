"""A node's own Node, and the other agents' pods."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import pytest

from lbnodeagent.gate.failures import Failure
from lbnodeagent.kubernetes.nodefeed import AgentPod, NodeFeed, OwnNode, agent_pod, parse_node
from lbnodeagent.messages import NodeAddresses, NodeExcluded, NodeFailing, Peer, PeersKnown
from purelb.ordering import Changed, Deleted, News, ObjectKey, Replaced

NODE = ObjectKey("", "w11")
A, B = ObjectKey("purelb", "a"), ObjectKey("purelb", "b")


def runs(node: str, address: str) -> AgentPod:
    return AgentPod(Peer(node, address), runs=True)


ON_W12, ON_W13 = runs("w12", "10.0.0.1"), runs("w13", "10.0.0.2")


class Told:
    """A feed, and what it said."""

    def __init__(self) -> None:
        self.told: list[NodeExcluded | NodeFailing | NodeAddresses | PeersKnown] = []
        self.labels: list[Mapping[str, str]] = []
        self.agents: list[frozenset[str]] = []
        self._feed = NodeFeed()

    def node(self, news: News[OwnNode]) -> None:
        then = self._feed.node(news)
        self.told += then.told
        if then.node is not None:
            self.labels.append(then.node.labels)

    def pods(self, news: News[AgentPod]) -> None:
        then = self._feed.pods(news)
        self.told += then.told
        self.agents.append(then.running)


@pytest.mark.parametrize(
    ("node", "is_excluded"),
    [
        ({}, False),
        ({"spec": {"unschedulable": True}}, True),
        ({"metadata": {"labels": {"node.kubernetes.io/exclude-from-external-load-balancers": ""}}}, True),
    ],
)
def test_a_cordon_or_a_label_keeps_vips_away(node: dict[str, Any], is_excluded: bool) -> None:
    assert parse_node({"metadata": {"name": "w11"}, **node}).is_excluded is is_excluded


def test_labels_and_exclusion_are_told_as_they_change() -> None:
    scene = Told()
    scene.node(Replaced({NODE: OwnNode({"rack": "1"}, is_excluded=False)}, "1", 0))
    scene.node(Changed(NODE, OwnNode({"rack": "2"}, is_excluded=True)))

    assert scene.told == [NodeFailing(None), NodeExcluded(False), NodeExcluded(True)]
    assert scene.labels == [{"rack": "1"}, {"rack": "2"}]


def test_the_addresses_of_the_node_are_told_once_and_names_are_none() -> None:
    scene = Told()
    named = [
        {"type": "InternalIP", "address": "10.31.188.11"},
        {"type": "ExternalIP", "address": "192.0.2.11"},
        {"type": "Hostname", "address": "w11"},
    ]
    node = parse_node({"metadata": {"name": "w11"}, "status": {"addresses": named}})
    for _ in range(2):
        scene.node(Changed(NODE, node))

    told = [one for one in scene.told if isinstance(one, NodeAddresses)]
    assert told == [NodeAddresses(frozenset({ip_address("10.31.188.11")}), frozenset({ip_address("192.0.2.11")}))]


def test_what_speaks_against_the_node_is_told_as_it_changes() -> None:
    scene = Told()
    for failure in (Failure.NOT_READY, Failure.NOT_READY, None):
        scene.node(Changed(NODE, OwnNode({}, is_excluded=False, failure=failure)))

    told = [one for one in scene.told if isinstance(one, NodeFailing)]
    assert told == [NodeFailing(Failure.NOT_READY), NodeFailing(None)]


NOTHING: Replaced[OwnNode] = Replaced({}, "9", 0)


@pytest.mark.parametrize("news", [Deleted(NODE, "u"), NOTHING], ids=["heard", "unseen"])
def test_a_node_that_is_gone_counts_as_cordoned_and_its_labels_stay(news: News[OwnNode]) -> None:
    scene = Told()
    scene.node(Replaced({NODE: OwnNode({"rack": "1"}, is_excluded=False)}, "1", 0))
    scene.node(news)
    assert scene.told[-1] == NodeExcluded(True)

    scene.node(Changed(NODE, OwnNode({"rack": "2"}, is_excluded=False)))
    assert scene.told[-1] == NodeExcluded(False)
    assert scene.labels == [{"rack": "1"}, {"rack": "2"}]


def test_a_list_of_pods_replaces_what_was_known_and_is_told_if_it_differs() -> None:
    scene = Told()
    scene.pods(Replaced({A: ON_W12, B: ON_W13}, "1", 0))
    scene.pods(Replaced({A: ON_W12, B: ON_W13}, "2", 0))
    scene.pods(Replaced({B: ON_W13}, "3", 0))
    scene.pods(Changed(A, runs("w12", "10.0.0.3")))
    scene.pods(Deleted(B, "u"))

    assert [set(one.addresses) for one in scene.told if isinstance(one, PeersKnown)] == [
        {"10.0.0.1", "10.0.0.2"},
        {"10.0.0.2"},
        {"10.0.0.2", "10.0.0.3"},
        {"10.0.0.3"},
    ]


def test_who_should_be_heard_is_told_also_when_no_pod_comes_or_goes() -> None:
    scene = Told()
    starting = AgentPod(Peer("w12", "10.0.0.1"), runs=False)
    scene.pods(Replaced({A: starting}, "1", 0))
    scene.pods(Changed(A, AgentPod(starting.peer, runs=True)))

    assert [one.running for one in scene.told if isinstance(one, PeersKnown)] == [frozenset(), {"w12"}]


def test_that_there_are_no_other_agents_is_told_too() -> None:
    scene = Told()
    scene.pods(Replaced({}, "1", 0))
    assert scene.told == [PeersKnown(frozenset())]


def pod(
    node: str | None = "w12", ip: str = "10.0.0.2", ready: bool = True, reason: str = "", **of: Any
) -> dict[str, Any]:
    """A pod of an agent, as the API has it."""
    condition = {"type": "Ready", "status": str(ready), **({"reason": reason} if reason else {})}
    status = {
        "phase": of.get("phase", "Running"),
        "podIP": ip,
        "conditions": [condition],
        "containerStatuses": [{"name": "agent", "state": of.get("state", {"running": {}})}],
    }
    return {"metadata": of.get("metadata", {}), "spec": {"nodeName": node, "hostNetwork": True}, "status": status}


def test_a_pod_counts_when_it_has_an_address_on_another_node() -> None:
    assert agent_pod(pod(), "w11") == AgentPod(Peer("w12", "10.0.0.2"), runs=True)
    assert agent_pod(pod(node="w11"), "w11") is None
    assert agent_pod(pod(ip=""), "w11") is None
    assert agent_pod(pod(node=None), "w11") is None


@pytest.mark.parametrize(
    ("body", "is_expected"),
    [
        (pod(), True),
        (pod(ready=False, reason="ContainersNotReady"), True),
        (pod(ready=False), False),
        (pod(phase="Pending"), False),
        (pod(state={"waiting": {"reason": "CrashLoopBackOff"}}), False),
        (pod(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), False),
        ({**pod(), "spec": {"nodeName": "w12"}}, False),
    ],
    ids=["ready", "unready", "its node is dead", "not yet", "crashes", "stops", "no agent"],
)
def test_an_agent_is_to_be_heard_while_its_program_runs(body: dict[str, Any], is_expected: bool) -> None:
    known = agent_pod(body, "w11")
    assert known is not None
    assert known.runs is is_expected


def test_where_agents_run_is_told() -> None:
    scene = Told()
    scene.pods(Replaced({A: ON_W12, B: AgentPod(Peer("w13", "10.0.0.2"), runs=False)}, "1", 0))
    scene.pods(Changed(B, ON_W13))
    scene.pods(Deleted(A, "u"))

    assert scene.agents == [{"w12"}, {"w12", "w13"}, {"w13"}]
