"""How Deployments and DaemonSets replace their pods: simulated to the end, with the limits as laws."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.controllers.rollout import (
    DaemonPod,
    Replicas,
    Strategy,
    deployment_strategy,
    plan_daemonset,
    resolve,
    scale_deployment,
    template_hash,
)

ROLLING = {"type": "RollingUpdate"}


@pytest.mark.parametrize(
    ("value", "total", "round_up", "pods"),
    [
        (2, 10, True, 2),
        ("25%", 4, True, 1),
        ("25%", 3, True, 1),
        ("25%", 3, False, 0),
        ("100%", 7, False, 7),
        (None, 8, True, 2),
    ],
)
def test_a_limit_is_a_number_or_a_share(value: int | str | None, total: int, round_up: bool, pods: int) -> None:
    assert resolve(value, "25%", total, round_up=round_up) == pods


def test_two_limits_of_zero_would_never_end_and_mean_one_unavailable() -> None:
    spec = {"replicas": 3, "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}}

    assert deployment_strategy(spec) == Strategy(False, 0, 1)


def test_a_template_has_one_hash_whatever_its_key_order() -> None:
    one = template_hash({"metadata": {"labels": {"a": "1"}}, "spec": {"x": 1}})

    assert one == template_hash({"spec": {"x": 1}, "metadata": {"labels": {"a": "1"}}})
    assert one != template_hash({"metadata": {"labels": {"a": "2"}}, "spec": {"x": 1}})


@given(
    desired=st.integers(0, 12),
    surge=st.integers(0, 4),
    unavailable=st.integers(0, 4),
    old=st.lists(st.integers(0, 6), max_size=3),
)
def test_a_rolling_update_ends_and_keeps_its_limits(desired: int, surge: int, unavailable: int, old: list[int]) -> None:
    strategy = Strategy(False, surge, unavailable if surge or unavailable else 1)
    sets = {f"old{i}": Replicas(f"old{i}", count, count, count) for i, count in enumerate(old)}
    sets["new"] = Replicas("new", 0, 0, 0)
    floor = min(sum(old), desired - strategy.max_unavailable)
    ceiling = max(sum(old), desired + strategy.max_surge)

    for _ in range(100):
        others = [one for name, one in sets.items() if name != "new"]
        change = scale_deployment(desired, strategy, sets["new"], others)
        if not change and all(one.wanted == one.available for one in sets.values()):
            break
        # Pods that go are gone at once, pods that come serve only one step later.
        for name, one in sets.items():
            wanted = change.get(name, one.wanted)
            sets[name] = Replicas(name, wanted, wanted, min(wanted, one.wanted))
        assert sum(one.available for one in sets.values()) >= floor
        assert sum(one.wanted for one in sets.values()) <= ceiling

    assert {name: one.wanted for name, one in sets.items() if one.wanted} == ({"new": desired} if desired else {})


def test_pods_that_do_not_serve_are_replaced_before_those_that_do() -> None:
    broken, fine = Replicas("broken", 2, 2, 0), Replicas("fine", 2, 2, 2)

    change = scale_deployment(4, Strategy(False, 0, 2), Replicas("new", 0, 0, 0), [fine, broken])

    assert change == {"broken": 0}


def test_recreate_waits_for_the_last_old_pod() -> None:
    strategy, new = Strategy(True, 0, 0), Replicas("new", 0, 0, 0)

    assert scale_deployment(2, strategy, new, [Replicas("old", 2, 2, 2)]) == {"old": 0}
    assert scale_deployment(2, strategy, new, [Replicas("old", 0, 1, 0)]) == {}
    assert scale_deployment(2, strategy, new, [Replicas("old", 0, 0, 0)]) == {"new": 2}


def _pods(*nodes: str, revision: str = "v1", available: bool = True) -> list[DaemonPod]:
    return [DaemonPod(f"{revision}-{node}", node, revision, available, False) for node in nodes]


def test_a_daemonset_has_one_pod_on_each_node_that_takes_it() -> None:
    plan = plan_daemonset(["a", "b", "c"], ["a", "b", "c"], _pods("b"), "v1", ROLLING)

    assert plan.create == ("a", "c")
    assert plan.delete == ()


def test_a_daemonset_leaves_nodes_that_are_no_longer_its_own() -> None:
    plan = plan_daemonset(["a"], ["a", "b"], _pods("a", "b", "c"), "v1", ROLLING)

    assert plan.create == ()
    assert plan.delete == ("v1-c",)  # b takes no new pod but keeps the one it has


def test_a_node_that_lost_its_pod_and_takes_no_new_one_does_not_hold_up_an_update() -> None:
    # A control-plane node whose taint the new template no longer tolerates: its pod may stay, but none comes.
    plan = plan_daemonset(["a", "b"], ["a", "b", "master"], _pods("a", "b"), "v2", ROLLING)

    assert plan.delete == ("v1-a",)


def test_a_stopping_pod_is_not_doubled() -> None:
    stopping = [replace(pod, is_terminating=True, is_available=False) for pod in _pods("a")]

    assert plan_daemonset(["a"], ["a"], stopping, "v1", ROLLING).create == ()


def test_on_delete_leaves_old_pods_alone() -> None:
    assert plan_daemonset(["a"], ["a"], _pods("a"), "v2", {"type": "OnDelete"}).delete == ()


def test_a_pod_that_does_not_serve_is_updated_first() -> None:
    pods = [*_pods("a"), *_pods("b", available=False)]

    assert plan_daemonset(["a", "b"], ["a", "b"], pods, "v2", ROLLING).delete == ("v1-b",)


@given(nodes=st.integers(1, 8), surge=st.integers(0, 3), unavailable=st.integers(0, 3))
def test_a_daemonset_update_ends_and_keeps_its_limits(nodes: int, surge: int, unavailable: int) -> None:
    limit = 0 if surge else max(1, unavailable)
    update = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": limit}}
    names = [f"n{i}" for i in range(nodes)]
    pods = {pod.name: pod for pod in _pods(*names)}

    for _ in range(100):
        pods = {name: replace(pod, is_available=True) for name, pod in pods.items()}
        plan = plan_daemonset(names, names, list(pods.values()), "v2", update)
        if not plan.create and not plan.delete:
            break
        for name in plan.delete:
            del pods[name]
        pods.update({pod.name: pod for pod in _pods(*plan.create, revision="v2", available=False)})
        served = {pod.node for pod in pods.values() if pod.is_available}
        assert len(served) >= nodes - limit
        assert len(pods) <= nodes + surge

    assert sorted(pods) == sorted(f"v2-{name}" for name in names)
