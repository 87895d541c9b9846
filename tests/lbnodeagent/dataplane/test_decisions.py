"""What an agent says of what it did, and why."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from lbnodeagent.dataplane.decisions import REMEMBERED, Decisions
from lbnodeagent.dataplane.planner import plan
from lbnodeagent.dataplane.situation import Situation
from tests.lbnodeagent.scenes import (
    ETH0,
    ROUTED,
    VIP,
    but,
    node,
    on_dummy,
    own,
    placed,
    situation,
    wanted,
)

PLANNED = replace(wanted(VIP), plan=("w11", "w12"))
HERE = node(placed(ETH0, f"{VIP}/16"))


def told(scene: Situation) -> list[tuple[str, str, str]]:
    decisions = Decisions()
    decisions.note(*plan(scene), scene)
    return [(one.what, one.interface, one.why) for one in decisions]


REASONS = {
    "by hash": (
        situation(node(), wanted(VIP), owners={VIP: "w11"}),
        ("place", "eth0", "this node is its owner by the hash rule"),
    ),
    "by the plan": (
        situation(node(), PLANNED, owners={VIP: "w11"}),
        ("place", "eth0", "this node is its owner by the plan (w11, w12)"),
    ),
    "routed": (situation(node(), wanted(ROUTED)), ("place", "kube-lb0", "it is on no node's subnet: each routes it")),
    "unwanted": (situation(HERE), ("remove", "eth0", "no Service has it any more")),
    "another owner": (situation(HERE, wanted(VIP), owners={VIP: "w12"}), ("remove", "eth0", "w12 is its owner")),
    "leaving": (
        situation(HERE, wanted(VIP), owners={VIP: "w12"}, leaving=True),
        ("remove", "eth0", "this agent leaves, and w12 has it"),
    ),
    "spared": (
        situation(node(on_dummy(f"{ROUTED}/32")), wanted(ROUTED), spared=[ROUTED]),
        ("remove", "kube-lb0", "others serve better than this node, and route it"),
    ),
    "claimed": (
        but(situation(HERE, wanted(VIP), owners={VIP: "w12"}), VIP, is_claimed=True),
        ("remove", "eth0", "another host answers for it"),
    ),
    "refused": (
        situation(node(own(ETH0, f"{VIP}/16")), wanted(VIP), owners={VIP: "w11"}),
        ("refuse", "eth0", "the address is on the interface already and was not put there by PureLB"),
    ),
}


@pytest.mark.parametrize(("scene", "decision"), REASONS.values(), ids=REASONS.keys())
def test_each_decision_has_its_reason(scene: Situation, decision: tuple[str, str, str]) -> None:
    assert told(scene) == [decision]


def test_a_renewal_is_no_decision() -> None:
    scene = situation(node(placed(ETH0, f"{VIP}/16", expires=1001.0)), wanted(VIP), owners={VIP: "w11"})

    assert plan(scene)[0]
    assert told(scene) == []


def test_what_is_refused_again_and_again_is_one_decision_and_all_are_bounded() -> None:
    decisions = Decisions()
    refused = situation(node(own(ETH0, f"{VIP}/16")), wanted(VIP), owners={VIP: "w11"})
    for _ in range(5):
        decisions.note(*plan(refused), refused)
    assert len(list(decisions)) == 1

    scene = situation(node(), wanted(VIP), owners={VIP: "w11"})
    for _ in range(REMEMBERED + 5):
        decisions.note(*plan(scene), scene)
    assert len(list(decisions)) == REMEMBERED


def test_ever_so_many_that_stay_refused_push_out_nothing_else() -> None:
    decisions = Decisions()
    there = node(*(own(ETH0, f"10.31.190.{last}/16") for last in range(250)))
    many = [wanted(ip_address(f"10.31.190.{last}")) for last in range(250)]
    refused = situation(there, *many, owners={one.address: "w11" for one in many})
    decisions.note(*plan(refused), refused)

    placed_now = situation(node(), wanted(VIP), owners={VIP: "w11"})
    decisions.note(*plan(placed_now), placed_now)
    for _ in range(3):
        decisions.note(*plan(refused), refused)

    assert [one.what for one in decisions][-1] == "place"


def test_what_is_refused_again_after_it_could_be_placed_is_another_decision() -> None:
    decisions = Decisions()
    for there in (node(own(ETH0, f"{VIP}/16")), node(), node(own(ETH0, f"{VIP}/16"))):
        scene = situation(there, wanted(VIP), owners={VIP: "w11"})
        decisions.note(*plan(scene), scene)

    assert [one.what for one in decisions] == ["refuse", "place", "refuse"]
