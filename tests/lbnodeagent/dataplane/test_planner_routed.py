"""When a routed VIP is on the dummy interface, as lists of actions: restarts, drains, endpoints that move, BIRD."""

from __future__ import annotations

from dataclasses import replace

from lbnodeagent.dataplane.planner import LEFT_BEHIND, Blocked, plan
from lbnodeagent.dataplane.situation import Situation
from lbnodeagent.tables import DUMMY_ALIAS, Action, Place, Remove, Spot
from purelb.nodeagents import DUMMY_ADDRESSING, NodeAgentConfig
from tests.lbnodeagent.scenes import DUMMY, NOW, ROUTED, link, node, of, on_dummy, placed, situation, wanted

HERE = on_dummy("10.189.0.0/32")
SPOT = Spot(DUMMY, "kube-lb0", 32, False, DUMMY_ADDRESSING)
GOES = [Remove(ROUTED, DUMMY, "kube-lb0", 32)]
ELSEWHERE = frozenset({"w12"})


def planned(scene: Situation) -> list[Action]:
    return plan(of(scene, ROUTED))[0]


def test_an_agent_that_stops_leaves_its_routed_vips_with_a_lifetime_and_places_none() -> None:
    lifetime = replace(DUMMY_ADDRESSING, valid_lifetime=LEFT_BEHIND, preferred_lifetime=LEFT_BEHIND)

    stays = planned(situation(node(HERE), wanted(ROUTED), leaving=True))
    absent = planned(situation(node(), wanted(ROUTED), leaving=True))

    assert stays == [Place(ROUTED, replace(SPOT, addressing=lifetime), is_renewal=True)]
    assert absent == []


def test_a_lifetime_of_the_operators_own_is_kept_at_a_stop() -> None:
    own = replace(DUMMY_ADDRESSING, valid_lifetime=60, preferred_lifetime=60)
    there = placed(DUMMY, "10.189.0.0/32", expires=NOW + 60, no_prefix_route=False)

    scene = situation(node(there), wanted(ROUTED), leaving=True, config=NodeAgentConfig(dummy_addressing=own))

    assert planned(scene) == []


def test_the_next_agent_makes_them_permanent_again() -> None:
    left = placed(DUMMY, "10.189.0.0/32", expires=NOW + LEFT_BEHIND, no_prefix_route=False)

    assert planned(situation(node(left), wanted(ROUTED))) == [Place(ROUTED, SPOT, is_renewal=True)]


def test_an_excluded_node_leaves_a_routed_vip_to_the_others() -> None:
    assert planned(situation(node(HERE), wanted(ROUTED), spared=[ROUTED])) == GOES
    assert planned(situation(node(HERE), wanted(ROUTED), spared=[ROUTED], lingering=[ROUTED])) == []
    assert planned(situation(node(), wanted(ROUTED), spared=[ROUTED])) == []


def test_while_the_dummy_interface_of_the_new_name_is_being_made_a_routed_vip_stays_on_the_old_one() -> None:
    old = node(HERE, links=[link(DUMMY, "kube-lb0", alias=DUMMY_ALIAS)])
    config = NodeAgentConfig(dummy_interface="lb1")

    assert planned(situation(old, wanted(ROUTED), config=config)) == []


def test_when_endpoints_move_the_old_node_lingers_and_then_lets_go() -> None:
    moved = wanted(ROUTED, endpoints=ELSEWHERE)

    assert planned(situation(node(HERE), moved, lingering=[ROUTED])) == []
    assert planned(situation(node(HERE), moved)) == GOES


def test_lingering_places_nothing() -> None:
    assert planned(situation(node(), wanted(ROUTED, endpoints=ELSEWHERE), lingering=[ROUTED])) == []


def test_a_routed_vip_waits_for_something_that_routes_it_in_silence_at_first() -> None:
    assert plan(of(situation(node(), wanted(ROUTED), router_trouble=""), ROUTED)) == ([], [])


def test_then_the_user_is_told_what_it_waits_for() -> None:
    trouble = "BIRD has no session"

    actions, blocked = plan(of(situation(node(), wanted(ROUTED), router_trouble=trouble), ROUTED))

    assert actions == []
    assert blocked == [Blocked(ROUTED, "kube-lb0", trouble)]


def test_what_is_there_stays_when_the_router_is_in_trouble() -> None:
    assert plan(of(situation(node(HERE), wanted(ROUTED), router_trouble="BIRD does not answer"), ROUTED)) == ([], [])
