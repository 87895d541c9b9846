"""Nodes as their kubelets register them."""

from __future__ import annotations

from lab.controllers.nodes import node_object
from lab.wire.topology import EXCLUDE_LABEL, topology


def test_a_master_takes_no_pods_that_do_not_tolerate_it() -> None:
    master, worker = (node_object(node) for node in topology(2).nodes)

    assert [taint["effect"] for taint in master["spec"]["taints"]] == ["NoSchedule"]
    assert "taints" not in worker["spec"]
    assert EXCLUDE_LABEL not in master["metadata"]["labels"]


def test_the_only_node_of_a_cluster_takes_all_pods() -> None:
    """As k3s, kind and minikube have it: an allocator would wait for ever."""
    (node,) = topology(1).nodes

    master = node_object(node)

    assert "taints" not in master["spec"]
    assert "node-role.kubernetes.io/control-plane" in master["metadata"]["labels"]


def test_a_control_plane_of_kubeadms_is_excluded_from_load_balancers() -> None:
    master, worker = (node_object(node) for node in topology(2, is_kubeadm=True).nodes)

    assert EXCLUDE_LABEL in master["metadata"]["labels"]
    assert "taints" in master["spec"]
    assert EXCLUDE_LABEL not in worker["metadata"]["labels"]
