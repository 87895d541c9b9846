"""A node's own Node, and the other agents' pods."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import pytest

from lbnodeagent.kubernetes.nodefeed import NodeFeed, OwnNode, parse_node, peer_address
from lbnodeagent.messages import NodeAddresses, NodeExcluded, PeersKnown
from purelb.ordering import Changed, Deleted, News, ObjectKey, Replaced

NODE = ObjectKey("", "w11")
A, B = ObjectKey("purelb", "a"), ObjectKey("purelb", "b")


class Told:
    """A feed, and what it said."""

    def __init__(self) -> None:
        self.told: list[NodeExcluded | NodeAddresses | PeersKnown] = []
        self.labels: list[Mapping[str, str]] = []
        self.feed = NodeFeed(self.told.append, self.labels.append)


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
    scene.feed.node(Replaced({NODE: OwnNode({"rack": "1"}, is_excluded=False)}, "1", 0))
    scene.feed.node(Changed(NODE, OwnNode({"rack": "2"}, is_excluded=True)))

    assert scene.told == [NodeExcluded(False), NodeExcluded(True)]
    assert scene.labels == [{"rack": "1"}, {"rack": "2"}]


def test_the_addresses_of_the_node_are_told_once_and_names_are_none() -> None:
    scene = Told()
    named = [{"type": "InternalIP", "address": "10.31.188.11"}, {"type": "Hostname", "address": "w11"}]
    node = parse_node({"metadata": {"name": "w11"}, "status": {"addresses": named}})
    for _ in range(2):
        scene.feed.node(Changed(NODE, node))

    told = [one for one in scene.told if isinstance(one, NodeAddresses)]
    assert told == [NodeAddresses(frozenset({ip_address("10.31.188.11")}))]


NOTHING: Replaced[OwnNode] = Replaced({}, "9", 0)


@pytest.mark.parametrize("news", [Deleted(NODE, "u"), NOTHING], ids=["heard", "unseen"])
def test_a_node_that_is_gone_counts_as_cordoned_and_its_labels_stay(news: News[OwnNode]) -> None:
    scene = Told()
    scene.feed.node(Replaced({NODE: OwnNode({"rack": "1"}, is_excluded=False)}, "1", 0))
    scene.feed.node(news)
    assert scene.told[-1] == NodeExcluded(True)

    scene.feed.node(Changed(NODE, OwnNode({"rack": "2"}, is_excluded=False)))
    assert scene.told[-1] == NodeExcluded(False)
    assert scene.labels == [{"rack": "1"}, {"rack": "2"}]


def test_a_list_of_pods_replaces_what_was_known_and_is_told_if_it_differs() -> None:
    scene = Told()
    scene.feed.pods(Replaced({A: "10.0.0.1", B: "10.0.0.2"}, "1", 0))
    scene.feed.pods(Replaced({A: "10.0.0.1", B: "10.0.0.2"}, "2", 0))
    scene.feed.pods(Replaced({B: "10.0.0.2"}, "3", 0))
    scene.feed.pods(Changed(A, "10.0.0.3"))
    scene.feed.pods(Deleted(B, "u"))

    assert [set(one.addresses) for one in scene.told if isinstance(one, PeersKnown)] == [
        {"10.0.0.1", "10.0.0.2"},
        {"10.0.0.2"},
        {"10.0.0.2", "10.0.0.3"},
        {"10.0.0.3"},
    ]


def test_that_there_are_no_other_agents_is_told_too() -> None:
    scene = Told()
    scene.feed.pods(Replaced({}, "1", 0))
    assert scene.told == [PeersKnown(frozenset())]


def test_a_pod_counts_when_it_has_an_address_on_another_node() -> None:
    def pod(**of: Any) -> dict[str, Any]:
        return {"spec": {"nodeName": of.get("node")}, "status": {"podIP": of.get("ip")}}

    assert peer_address(pod(node="w12", ip="10.0.0.2"), "w11") == "10.0.0.2"
    assert peer_address(pod(node="w11", ip="10.0.0.1"), "w11") is None
    assert peer_address(pod(node="w12"), "w11") is None
    assert peer_address(pod(ip="10.0.0.2"), "w11") is None
