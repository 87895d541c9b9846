"""Which pod may run where: taints, tolerations, selectors, and the node that a new pod gets."""

from __future__ import annotations

from typing import Any

import pytest

from lab.controllers.scheduling import (
    DAEMONSET_TOLERATIONS,
    NOT_READY,
    UNREACHABLE,
    choose_node,
    eviction_delay,
    matches_selector,
    may_schedule,
    may_stay,
    tolerates,
    with_default_tolerations,
)

MASTER = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}


def _node(name: str, *taints: dict[str, Any], unschedulable: bool = False, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": list(taints), "unschedulable": unschedulable},
    }


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, True),
        ({"key": "k", "operator": "Exists", "effect": "NoSchedule"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "operator": "Equal", "value": "w"}, False),
        ({"key": "k"}, False),
    ],
)
def test_a_toleration_covers_a_taint_by_key_value_and_effect(toleration: dict[str, Any], expected: bool) -> None:
    assert tolerates(toleration, {"key": "k", "value": "v", "effect": "NoExecute"}) is expected


def test_pods_leave_a_node_under_noexecute_as_their_tolerations_say() -> None:
    taints = [{"key": "a", "effect": "NoExecute"}, {"key": "b", "effect": "NoExecute"}]
    short = {"key": "a", "operator": "Exists", "tolerationSeconds": 30}
    long = {"key": "b", "operator": "Exists", "tolerationSeconds": 300}

    assert eviction_delay(taints, [short]) == 0  # b is not tolerated
    assert eviction_delay(taints, [short, long]) == 30
    assert eviction_delay(taints, [{"operator": "Exists"}]) is None
    assert eviction_delay([MASTER], []) is None  # NoSchedule drives nobody away


def test_ordinary_pods_stay_300_seconds_on_a_dead_node_and_daemonset_pods_for_ever() -> None:
    dead = [{"key": UNREACHABLE, "effect": "NoExecute"}]

    assert eviction_delay(dead, with_default_tolerations([])) == 300
    assert eviction_delay(dead, DAEMONSET_TOLERATIONS) is None


def test_a_pods_own_toleration_takes_the_place_of_the_default() -> None:
    own = {"key": NOT_READY, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}

    result = with_default_tolerations([own])

    assert [one.get("tolerationSeconds") for one in result if one["key"] == NOT_READY] == [5]


def test_a_cordoned_node_takes_daemonset_pods_only() -> None:
    cordoned = _node("n", unschedulable=True)

    assert not may_schedule({}, [], cordoned)
    assert may_schedule({}, DAEMONSET_TOLERATIONS, cordoned)


def test_noschedule_keeps_new_pods_out_but_drives_none_away() -> None:
    assert not may_schedule({}, [], _node("m", MASTER))
    assert may_stay({}, [], _node("m", MASTER))
    assert not may_stay({}, [], _node("m", {"key": "k", "effect": "NoExecute"}))


def test_node_selector_and_affinity_must_both_fit() -> None:
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    spec = {"nodeSelector": {"os": "linux"}, "affinity": affinity}

    assert may_schedule(spec, [], _node("n", os="linux", zone="b"))
    assert not may_schedule(spec, [], _node("n", os="linux", zone="c"))
    assert not may_schedule(spec, [], _node("n", zone="a"))


def test_a_label_selector_knows_all_its_operators() -> None:
    labels = {"app": "x", "tier": "2"}

    def matches(key: str, operator: str, *values: str) -> bool:
        return matches_selector({"matchExpressions": [{"key": key, "operator": operator, "values": values}]}, labels)

    assert matches("app", "In", "x", "y")
    assert not matches("app", "NotIn", "x")
    assert matches("app", "Exists")
    assert matches("other", "DoesNotExist")
    assert matches("other", "NotIn", "x")
    assert matches("tier", "Gt", "1")
    assert matches("tier", "Lt", "3")
    with pytest.raises(ValueError, match="Almost"):
        matches("app", "Almost")


def test_a_new_pod_goes_where_there_are_fewest_and_to_the_last_of_equals() -> None:
    nodes = [_node("master", MASTER), _node("worker-11"), _node("worker-12")]

    assert choose_node({}, nodes, {}) == "worker-12"  # where the article's allocator runs
    assert choose_node({}, nodes, {"worker-12": 1}) == "worker-11"
    assert choose_node({"nodeSelector": {"gpu": "yes"}}, nodes, {}) is None
