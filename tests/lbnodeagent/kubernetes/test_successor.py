"""Whether another agent comes after one that is told to end."""

from __future__ import annotations

from typing import Any

import pytest

from lbnodeagent.gate.failures import Failure
from lbnodeagent.kubernetes.nodefeed import OwnNode
from lbnodeagent.kubernetes.successor import absence, controller_of

NODE = OwnNode({"kubernetes.io/os": "linux", "rack": "1"}, is_excluded=False)
REFERENCE = {"kind": "DaemonSet", "name": "lbnodeagent", "uid": "one", "controller": True}


def daemonset(selector: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "lbnodeagent", "uid": "one", **metadata},
        "spec": {"template": {"spec": {"nodeSelector": selector} if selector else {}}},
    }


def test_a_daemonset_that_wants_this_node_makes_another_pod_here() -> None:
    assert absence(REFERENCE, daemonset(), NODE) is None
    assert absence(REFERENCE, daemonset({"kubernetes.io/os": "linux"}), NODE) is None


def test_a_cordoned_node_has_its_agent_all_the_same() -> None:
    assert absence(REFERENCE, daemonset(), OwnNode({}, is_excluded=True)) is None


@pytest.mark.parametrize(
    ("theirs", "node", "reason"),
    [
        (daemonset(deletionTimestamp="2026-11-29T12:00:00Z"), NODE, "its DaemonSet is deleted"),
        (daemonset(uid="another of that name"), NODE, "its DaemonSet is deleted"),
        ({}, NODE, "its DaemonSet is deleted"),
        (daemonset({"rack": "2"}), NODE, "its DaemonSet doesn't want this node any more"),
        (daemonset(), None, "its Node is gone"),
        (daemonset(), OwnNode({}, is_excluded=False, failure=Failure.NOT_READY), "its Node isn't Ready"),
    ],
)
def test_none_follows_where_none_is_wanted(theirs: dict[str, Any], node: OwnNode | None, reason: str) -> None:
    assert absence(REFERENCE, theirs, node) == reason


def test_a_pod_of_another_kind_has_no_daemonset() -> None:
    assert controller_of({"metadata": {"ownerReferences": [REFERENCE]}}) == REFERENCE
    assert controller_of({"metadata": {}}) is None
    assert controller_of({"metadata": {"ownerReferences": [{**REFERENCE, "kind": "Node"}]}}) is None
    assert controller_of({"metadata": {"ownerReferences": [{**REFERENCE, "controller": False}]}}) is None
