"""Who is there by three kinds of objects, and when that is believed."""

from __future__ import annotations

from typing import Any

import pytest

from allocator.reconcile.clusterobjects import Reading
from allocator.reconcile.fleet import SUDDEN, Fleet, Said, read_membership, read_rule
from purelb import names
from purelb.membership import STALE, MemberNode, Standing
from purelb.ordering import Changed, Deleted, ObjectKey, Replaced
from purelb.selectors import parse_selector

OBJECT = ObjectKey("purelb", "purelb")


def members(version: int, *serving: str, failing: tuple[str, ...] = (), others: tuple[str, ...] = ()) -> Changed[Said]:
    nodes = [MemberNode(name, Standing.SERVING) for name in serving]
    nodes += [MemberNode(name, Standing.FAILING) for name in failing]
    nodes += [MemberNode(name, Standing.SERVING, speaks=False) for name in others]
    return Changed(OBJECT, Said(str(version), {node.name: node for node in nodes}))


def fleet_of(*names_: str, labels: dict[str, str] | None = None) -> Fleet:
    """A cluster of these nodes."""
    fleet = Fleet()
    fleet.take_nodes(Replaced({ObjectKey("", name): Reading((), (), labels or {}) for name in names_}, "1", 0))
    return fleet


def test_a_node_is_what_the_membership_and_its_labels_say() -> None:
    fleet = fleet_of("w11", labels={names.NODE_WEIGHT: "3"})
    fleet.take_members(members(1, "w11"), 0.0)

    (node,) = fleet.nodes(0.0) or []

    assert (node.name, node.weight, node.standing) == ("w11", 3, Standing.SERVING)
    assert fleet.nodes(1.0) is None, "that is no news"


def test_a_member_without_a_node_takes_no_part_unless_it_knows_the_hash_rule_alone() -> None:
    fleet = fleet_of("w11")
    fleet.take_members(members(1, "w11", "forged", others=("old",)), 0.0)

    assert [node.name for node in fleet.nodes(0.0) or []] == ["w11", "old"]


def test_who_is_behind_the_api_is_one_to_the_planner() -> None:
    fleet = fleet_of("w11")
    behind = MemberNode("w11", Standing.SERVING, is_behind=True)
    fleet.take_members(Changed(OBJECT, Said("1", {"w11": behind})), 0.0)

    assert [node.is_behind for node in fleet.nodes(0.0) or []] == [True]


def test_a_selector_chooses_among_the_nodes_that_were_seen() -> None:
    rack = parse_selector({"matchLabels": {"rack": "a"}})
    assert Fleet().chosen(rack) is None

    fleet = fleet_of("w12", "w11", labels={"rack": "a"})
    assert fleet.chosen(rack) == ["w11", "w12"]
    assert fleet.chosen(parse_selector({"matchLabels": {"rack": "b"}})) == []


def test_a_changed_label_is_news() -> None:
    fleet = fleet_of("w11")
    fleet.take_members(members(1, "w11"), 0.0)
    fleet.nodes(0.0)

    fleet.take_nodes(Changed(ObjectKey("", "w11"), Reading((), (), {"rack": "a"})))

    assert [node.labels for node in fleet.nodes(1.0) or []] == [{"rack": "a"}]
    fleet.take_nodes(Deleted(ObjectKey("", "w11"), ""))
    assert fleet.nodes(2.0) is None
    assert fleet.nodes(2.0 + SUDDEN) == []


def test_a_membership_is_current_as_long_as_it_is_renewed() -> None:
    fleet = fleet_of("w11")
    assert not fleet.is_current(0.0)

    fleet.take_members(members(1, "w11"), 10.0)
    assert fleet.is_current(9.0 + STALE)
    fleet.take_members(members(1, "w11"), 200.0)
    assert not fleet.is_current(10.0 + STALE), "a list that says the same is no renewal"
    fleet.take_members(members(2, "w11"), 400.0)
    assert fleet.is_current(399.0 + STALE)
    assert fleet.stale_at == 400.0 + STALE


def test_what_was_said_stands_when_the_object_is_gone_or_empty() -> None:
    fleet = fleet_of("w11")
    fleet.take_members(members(1, "w11"), 0.0)
    fleet.nodes(0.0)

    fleet.take_members(Deleted(OBJECT, ""), 1.0)
    fleet.take_members(members(2), 2.0)
    fleet.take_members(Replaced({}, "3", 0), 3.0)

    assert fleet.nodes(4.0) is None
    assert fleet.is_current(4.0)


def test_the_loss_of_more_than_half_is_believed_when_it_has_stood_for_a_while() -> None:
    everybody = [f"w{number}" for number in range(5)]
    fleet = fleet_of(*everybody)
    fleet.take_members(members(1, *everybody), 0.0)
    fleet.nodes(0.0)

    fleet.take_members(members(2, "w0", "w1"), 10.0)
    assert fleet.nodes(10.0) is None
    assert fleet.believed_at == 10.0 + SUDDEN
    assert len(fleet.nodes(10.0 + SUDDEN) or []) == 2


def test_a_loss_that_is_taken_back_was_none() -> None:
    everybody = [f"w{number}" for number in range(5)]
    fleet = fleet_of(*everybody)
    fleet.take_members(members(1, *everybody), 0.0)
    fleet.nodes(0.0)

    fleet.take_members(members(2, "w0", failing=("w1", "w2", "w3", "w4")), 10.0)
    assert fleet.nodes(10.0) is None
    fleet.take_members(members(3, *everybody), 12.0)

    assert len(fleet.nodes(12.0) or []) == 5
    assert fleet.believed_at is None


def rule(name: str, **spec: Any) -> Changed[Any]:
    body = {"metadata": {"name": name, "namespace": "purelb"}, "spec": spec}
    return Changed(ObjectKey("purelb", name), read_rule(body))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([rule("a", local={"placement": "even"})], "even"),
        ([rule("a", local={})], "hash"),
        ([rule("a", local={"placement": "even"}), rule("b", local={})], "hash"),
        ([rule("a", local={"placement": "even"}), rule("b")], "even"),
        ([rule("a", local={"placement": "even", "localint": "eth("})], "hash"),
    ],
)
def test_vips_are_even_if_all_agents_that_announce_are_told_so(rules: list[Changed[Any]], expected: str) -> None:
    fleet = Fleet()
    assert fleet.rule is None

    for news in rules:
        fleet.take_rules(news)

    assert fleet.rule == expected
    fleet.take_rules(Replaced({}, "1", 0))
    assert fleet.rule == expected, "one that is replaced is gone for a moment"


def test_a_membership_that_cannot_be_read_has_nobody() -> None:
    assert read_membership({"metadata": {"resourceVersion": "7"}}) == Said("7", {})


def test_a_cluster_that_never_had_an_lbnodeagent_goes_by_hash() -> None:
    fleet = Fleet()

    fleet.take_rules(Replaced({}, "1", 0))

    assert fleet.rule == "hash"


def test_an_lbnodeagent_that_cannot_be_read_any_more_goes_on_saying_what_it_said() -> None:
    fleet = Fleet()
    fleet.take_rules(rule("a", local={"placement": "even"}))

    fleet.take_rules(rule("a", local={"placement": "even", "localint": "eth("}))

    assert fleet.rule == "even", "agents keep what was right before; a typing error moves no VIP"


def weights(fleet: Fleet, now: float) -> dict[str, int] | None:
    nodes = fleet.nodes(now)
    return None if nodes is None else {node.name: node.weight for node in nodes}


def test_a_node_weighs_what_its_lbnodeagent_says_unless_its_label_says_something_else() -> None:
    fleet = fleet_of("big", labels={"size": "big"})
    fleet.take_nodes(Changed(ObjectKey("", "own"), Reading((), (), {"size": "big", names.NODE_WEIGHT: "5"})))
    fleet.take_nodes(Changed(ObjectKey("", "small"), Reading((), (), {})))
    fleet.take_members(members(1, "big", "own", "small"), 0.0)
    fleet.take_rules(rule("all", local={}))
    assert weights(fleet, 0.0) == {"big": 1, "own": 5, "small": 1}

    chosen = {"matchLabels": {"size": "big"}}
    fleet.take_rules(rule("large", local={"weight": 3}, nodeSelector=chosen))

    assert weights(fleet, 1.0) == {"big": 3, "own": 5, "small": 1}
    fleet.take_rules(rule("large", local={"weight": 3, "localint": "eth("}, nodeSelector=chosen))
    assert weights(fleet, 2.0) is None, "that can't be read, and alters nothing"
    fleet.take_rules(Replaced({}, "2", 0))
    assert weights(fleet, 3.0) is None, "one that is replaced is gone for a moment"
    fleet.take_rules(rule("all", local={"weight": 0}))
    assert weights(fleet, 4.0) == {"big": 0, "own": 5, "small": 0}


def test_what_an_operator_asks_for_on_the_membership_is_heard_once_and_not_what_was_asked_before() -> None:
    def said(version: int, asked: str) -> Changed[Said]:
        annotations = {names.REBALANCE: asked} if asked else {}
        metadata = {"resourceVersion": str(version), "annotations": annotations}
        nodes = [{"name": "w11", "standing": "Serving"}]
        return Changed(OBJECT, read_membership({"metadata": metadata, "status": {"nodes": nodes}}))

    fleet = fleet_of("w11")
    heard = []
    for version, asked in enumerate(("10:00", "10:00", "10:05", "10:05", "", "10:07")):
        fleet.take_members(said(version, asked), float(version))
        heard.append(fleet.take_haste())

    assert heard == [False, False, True, False, False, True]
    assert len(read_membership({"metadata": {"annotations": {names.REBALANCE: "x" * 9999}}}).asked) < 100
