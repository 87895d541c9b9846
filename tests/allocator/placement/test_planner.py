"""Where the planner has VIPs, and what a change of the nodes comes to."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from itertools import permutations

import pytest

from allocator.placement.balance import Balance
from allocator.placement.eligibility import MOST_SELECTORS
from allocator.placement.place import Place
from allocator.placement.planner import MOST_APART, Planner
from allocator.placement.presence import Presence
from allocator.placement.values import Reason, Vip
from purelb.election import owner as hash_owner
from purelb.membership import MOST_NODES, Standing
from purelb.preferences import Preference
from purelb.selectors import parse_selector_text
from tests.allocator.placement.builders import TEMPO, Plan, address, node, nodes, prefer, vip


@pytest.mark.parametrize(("vips", "count"), [(3, 3), (20, 5), (100, 7), (1000, 50)])
def test_nodes_are_even_and_stay_so_after_any_death(vips: int, count: int) -> None:
    plan = Plan(nodes(count), map(vip, range(vips)))

    plan.settle()

    assert plan.unevenness() <= 1
    assert max(plan.unevenness(without=name) for name in plan.counts()) <= 2


def test_vips_that_come_one_by_one_are_even_at_once() -> None:
    plan = Plan(nodes(4))

    for number in range(10):
        plan.want(vip(number))
        assert plan.unevenness() <= 1


def test_without_a_plan_a_vip_stays_where_it_is_announced_and_else_where_the_hash_rule_has_it() -> None:
    there = nodes(5)

    plan = Plan(there, [vip(0, is_new=False, at="n3"), vip(1, is_new=False)])

    assert (plan.placement(0) or ())[0] == "n3"
    assert (plan.placement(1) or ())[0] == hash_owner([one.name for one in there], address(1))


def test_what_a_service_shows_as_its_plan_is_the_plan() -> None:
    plan = Plan(nodes(3), [vip(0, plan=("n2", "n0"), at="n1"), vip(1, plan=("gone", "n1"))])

    assert plan.placement(0) == ("n2", "n0")
    assert (plan.placement(1) or ())[0] == "n1"


def test_as_long_as_nobody_is_there_nothing_is_said() -> None:
    plan = Plan([], [vip(0, plan=("n2", "n0"))])

    assert plan.placement(0) is None
    plan.see([node("n1", subnets=["10.9.0.0/16"])])
    assert plan.placement(0) is None
    plan.see(nodes(3))
    assert plan.placement(0) == ("n2", "n0")


def test_a_dead_nodes_vips_go_to_their_stand_ins_and_no_others_move() -> None:
    plan = Plan(nodes(5), map(vip, range(20)))
    plan.settle()
    its = {number: plan.placement(number) for number in range(20) if (plan.placement(number) or ())[0] == "n1"}

    moved = plan.see([one for one in nodes(5) if one.name != "n1"])

    assert moved == {address(number) for number in its}
    assert all((plan.placement(number) or ())[0] == (before or ())[1] for number, before in its.items())
    assert "n1" not in {name for number in range(20) for name in plan.placement(number) or ()}


def test_nothing_moves_until_a_lost_node_is_given_up() -> None:
    plan = Plan(nodes(4), [vip(number, plan=("n0", "n1")) for number in range(8)])

    plan.see(nodes(3))

    assert plan.balance.due(plan.now) == plan.now + 300.0
    assert len(plan.step()) == 5
    assert plan.now == 1300.0


def test_a_node_that_comes_back_gets_its_own_vips_few_at_a_time_after_its_hold_down() -> None:
    plan = Plan(nodes(4), map(vip, range(40)))
    plan.settle()
    its = {one for one, owner in plan.owners().items() if owner == "n3"}
    plan.see(nodes(3))
    plan.wait(20.0)

    plan.see(nodes(4))
    back = plan.now
    moves = [moved for moved in plan.settle() if moved]

    assert [len(moved) for moved in moves] == [5, 5]
    assert set().union(*moves) == its
    assert plan.now >= back + 60.0 + 10.0


def test_a_node_that_falters_again_and_again_waits_longer_each_time() -> None:
    plan = Plan(nodes(3), map(vip, range(6)))
    waits = []
    for _ in range(6):
        plan.see(nodes(2))
        plan.wait(10.0)
        plan.see(nodes(3))
        release = plan.planner.presence.next_release(plan.now)
        assert release is not None
        waits.append(release - plan.now)
        plan.wait(10.0)

    assert waits == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0]


def test_a_long_good_time_is_a_new_beginning() -> None:
    plan = Plan(nodes(3), map(vip, range(6)))
    for wait in (10.0, 1000.0):
        plan.see(nodes(2))
        plan.wait(10.0)
        plan.see(nodes(3))
        plan.wait(wait)
    plan.see(nodes(2))
    plan.see(nodes(3))

    assert plan.planner.presence.next_release(plan.now) == plan.now + 60.0


def test_a_new_vip_does_not_go_to_a_node_in_its_hold_down() -> None:
    plan = Plan(nodes(2), map(vip, range(4)))
    plan.see(nodes(3))

    plan.want(vip(4))

    assert (plan.placement(4) or ())[0] != "n2"


@pytest.mark.parametrize("standing", [Standing.EXCLUDED, Standing.FAILING, Standing.STARTING, Standing.LEAVING])
def test_a_node_that_does_not_serve_has_nothing_while_others_do(standing: Standing) -> None:
    there = [*nodes(2), node("n2", standing)]

    plan = Plan(there, map(vip, range(9)))

    assert plan.counts()["n2"] == 0
    assert {len(plan.placement(number) or ()) for number in range(9)} == {2}


def test_where_nobody_serves_it_is_the_best_of_those_who_do_not() -> None:
    there = [node("n0", Standing.FAILING), node("n1", Standing.EXCLUDED), node("n2", Standing.LEAVING)]

    plan = Plan(there, [vip(0)])

    assert plan.placement(0) == ("n1", "n0")


def test_only_nodes_of_its_subnet_and_with_its_labels_and_endpoints_have_a_vip() -> None:
    there = [
        node("far", subnets=["192.168.50.0/24"], labels={"rack": "a"}),
        node("plain"),
        node("right", labels={"rack": "a"}),
        node("empty", labels={"rack": "a"}),
    ]
    terms = {"selector": parse_selector_text("rack=a"), "only": frozenset({"far", "plain", "right"})}

    plan = Plan(there, [vip(0, **terms), Vip(ip_address("192.168.50.9"), is_new=True)])

    assert plan.placement(0) == ("right",)
    assert plan.planner.placement(ip_address("192.168.50.9")) == ("far",)


def test_preferred_nodes_come_first_and_others_when_there_is_none() -> None:
    plan = Plan(nodes(4), [vip(number, preference=prefer("n2", "n3")) for number in range(4)])
    assert plan.counts() == {"n0": 0, "n1": 0, "n2": 2, "n3": 2}

    plan.see(nodes(2))
    assert plan.counts() == {"n0": 2, "n1": 2}

    plan.see(nodes(4))
    plan.settle()
    assert plan.counts() == {"n0": 0, "n1": 0, "n2": 2, "n3": 2}


def test_weights_are_the_shares() -> None:
    there = [node("one"), node("two", weight=2), node("none", weight=0)]

    plan = Plan(there, map(vip, range(9)))

    assert plan.counts() == {"one": 3, "two": 6, "none": 0}


def test_a_node_whose_weight_becomes_0_loses_its_vips_few_at_a_time() -> None:
    plan = Plan(nodes(3), map(vip, range(18)))

    assert plan.see([*nodes(2), node("n2", weight=0)]) == set()
    moves = plan.settle()

    assert [len(moved) for moved in moves if moved] == [5, 1]
    assert plan.counts()["n2"] == 0


def test_vips_that_are_to_be_apart_are_on_different_nodes_while_there_are_enough() -> None:
    plan = Plan(nodes(3), [vip(number, spread="dns", plan=("n0",)) for number in range(3)])

    plan.settle()
    assert sorted(plan.counts().values()) == [1, 1, 1]

    plan.want(vip(3, spread="dns"))
    plan.settle()
    assert sorted(plan.counts().values()) == [1, 1, 2]


def test_vips_apart_are_so_after_a_death_too() -> None:
    plan = Plan(nodes(4), [vip(number, spread="dns") for number in range(2)])

    for name in plan.counts():
        assert max(plan.counts(without=name).values()) == 1


def test_where_an_agent_knows_the_hash_rule_alone_that_rule_decides() -> None:
    plan = Plan(nodes(3), [vip(0), Vip(ip_address("192.168.50.9"), is_new=True)])
    side = node("side", subnets=["192.168.50.0/24"])

    plan.see([*nodes(3), node("old", speaks=False), side])

    assert plan.placement(0) == ()
    assert plan.planner.placement(ip_address("192.168.50.9")) == ("side",)


def test_when_that_agent_is_gone_a_vip_stays_where_it_is() -> None:
    plan = Plan([*nodes(3), node("old", speaks=False)], [vip(0, at="n2", is_new=False)])

    assert plan.see(nodes(3)) == {address(0)}
    assert (plan.placement(0) or ())[0] == "n2"


def test_a_vip_that_is_not_wanted_any_more_leaves_its_place_to_others() -> None:
    plan = Plan(nodes(2), map(vip, range(2)))
    (gone,) = (number for number in range(2) if (plan.placement(number) or ())[0] == "n0")

    plan.planner.forget(address(gone))
    plan.want(vip(2))

    assert plan.placement(gone) is None
    assert (plan.placement(2) or ())[0] == "n0"


def test_a_chain_of_moves_evens_out_nodes_that_have_no_vip_in_common() -> None:
    there = [
        node("n0", subnets=["10.0.0.0/16"]),
        node("n1", subnets=["10.0.0.0/16", "10.1.0.0/16"]),
        node("n2", subnets=["10.1.0.0/16"]),
    ]
    second = [Vip(ip_address(f"10.1.0.{number}"), plan=("n1",)) for number in range(1, 3)]

    plan = Plan(there, [*(vip(number, plan=("n0",)) for number in range(4)), *second])
    plan.settle()

    assert sorted(plan.counts().values()) == [2, 2, 2]


def test_wishes_for_nodes_that_are_not_there_are_one_and_the_same() -> None:
    plan = Plan(nodes(4), [vip(number, preference=prefer(f"none{number}")) for number in range(8)])

    assert set(plan.counts().values()) == {2}
    assert len({id(plan.planner.goal(place)) for place in plan.planner.places.values()}) == 1


def test_only_so_many_label_selectors_are_followed() -> None:
    there = [node("n0"), node("n1", labels={"rack": "a"})]
    wishes = [Preference(selector=parse_selector_text(f"rack!=b{number}")) for number in range(MOST_SELECTORS)]
    plan = Plan(there, [vip(number, preference=wish) for number, wish in enumerate(wishes)])
    late = vip(1000, preference=Preference(selector=parse_selector_text("rack=a")))

    plan.want(late)
    place = plan.planner.places[late.address]
    assert place.domain.preference is None

    plan.planner.forget(address(0))
    plan.planner.forget(late.address)
    plan.want(late)
    assert (plan.placement(1000) or ())[0] == "n1"


def test_nothing_is_kept_of_wishes_that_are_changed_again_and_again() -> None:
    plan = Plan(nodes(2), [vip(0)])

    for number in range(50):
        plan.want(vip(0, preference=prefer(f"n{number}")))

    assert len(plan.planner.places[address(0)].domain.reach.domains) == 1


def test_only_so_many_vips_of_a_spread_group_are_kept_apart() -> None:
    plan = Plan(nodes(MOST_APART + 8), [vip(number, spread="dns") for number in range(MOST_APART + 4)])
    late = plan.planner.places[address(MOST_APART)]

    assert not plan.planner.crowd(late)
    assert max(len(plan.planner.crowd(place)) for place in plan.planner.places.values()) < MOST_APART

    plan.planner.forget(address(0))
    plan.want(vip(MOST_APART, spread="dns"))
    assert plan.planner.crowd(late)


def test_a_spread_group_of_more_vips_than_nodes_is_even_also_on_a_node_that_joins() -> None:
    plan = Plan(nodes(3), [vip(number, spread="dns") for number in range(9)])

    assert not plan.planner.crowded()
    plan.see(nodes(4))
    plan.settle()
    assert sorted(plan.counts().values()) == [2, 2, 2, 3]
    assert not plan.planner.crowded()


def test_a_search_for_a_chain_of_moves_looks_at_no_node_twice() -> None:
    class Counted(Planner):
        looks = 0

        def crowd(self, place: Place) -> Counter[str]:
            self.looks += 1
            return super().crowd(place)

    planner = Counted(TEMPO)
    balance = Balance(planner)
    planner.see(nodes(20), 1000.0)
    for number in range(390):
        planner.want(vip(number, spread=f"s{number // 2}"), 1000.0)
    now = 2000.0
    while (due := balance.due(now)) is not None:
        balance.step(now := due)

    planner.see([node("n0", labels={"rack": "a"}), *nodes(20)[1:]], now)
    planner.looks = 0
    assert not balance.step(now + 100.0)
    assert planner.looks < len(planner.places)


def test_of_nodes_that_are_gone_only_so_many_are_remembered() -> None:
    presence = Presence(TEMPO)
    for number in range(4):
        presence.see([node(f"forged-{number}-{which}") for which in range(MOST_NODES)], float(number))

    assert presence.is_held("forged-3-0", 3.0)
    assert presence.is_held("forged-2-0", 3.0)
    assert not presence.is_held("forged-1-0", 3.0)


def test_one_that_has_just_begun_puts_stand_ins_right_and_moves_nothing_before_its_time() -> None:
    for order in permutations(range(6)):
        plan = Plan()
        plan.balance = Balance(plan.planner, not_before=plan.now + 300.0)
        plan.see(nodes(3))
        for number in order:
            plan.want(vip(number))
        plan.want(vip(6, at="n0", is_new=False))
        plan.want(vip(7, at="n0", is_new=False))

        moved = set().union(*plan.settle(until=plan.now + 299.0))

        assert not moved
        assert max(plan.unevenness(without=name) for name in ("n0", "n1", "n2")) <= 2
        assert set().union(*plan.settle())
        assert plan.unevenness() <= 1


def test_who_is_asked_to_hasten_waits_neither_for_a_lost_node_nor_for_its_own_beginning() -> None:
    plan = Plan()
    plan.balance = Balance(plan.planner, not_before=plan.now + 300.0)
    plan.see(nodes(4))
    for number in range(8):
        plan.want(vip(number, plan=("n0", "n1")))
    plan.see(nodes(3))
    asked = plan.now

    plan.balance.hasten(plan.now)
    moves = [moved for moved in plan.settle() if moved]

    assert [len(moved) for moved in moves] == [5]
    assert plan.now <= asked + 30.0
    assert plan.unevenness() <= 1


def test_nor_for_a_node_that_has_just_come_and_each_step_is_as_small_as_ever() -> None:
    plan = Plan(nodes(3), map(vip, range(40)))
    plan.settle()
    plan.see(nodes(4))
    asked = plan.now

    plan.balance.hasten(plan.now)
    moves = [moved for moved in plan.settle(until=asked + 59.0) if moved]

    assert [len(moved) for moved in moves] == [5, 5]
    assert plan.unevenness() == 0


def test_who_hastens_again_and_again_is_no_faster() -> None:
    plan = Plan(nodes(1), map(vip, range(40)))
    plan.see(nodes(4))
    moved = 0
    for _ in range(20):
        plan.balance.hasten(plan.now)
        before = plan.owners()
        plan.balance.step(plan.now)
        moved += len(plan._moved(before))
        plan.now += 1.0

    assert moved <= 15


def test_each_move_is_counted_with_its_reason() -> None:
    plan = Plan(nodes(3), [vip(number) for number in range(6)])
    assert not plan.planner.moves, "what comes to its first node doesn't move"

    lost = plan.planner.places[address(0)].owner
    plan.see(one for one in nodes(3) if one.name != lost)
    assert plan.moves == {Reason.LOST: 2}

    plan.see(nodes(3))
    plan.settle()
    assert plan.moves == {Reason.LOST: 2, Reason.SHARE: 2}

    elsewhere = next(one.name for one in nodes(3) if one.name != plan.planner.places[address(0)].owner)
    plan.want(vip(0, preference=prefer(elsewhere)))
    plan.step()
    assert plan.moves[Reason.PREFERRED] == 1

    together = [number for number in range(6) if plan.planner.places[address(number)].owner == elsewhere][:2]
    for number in together:
        plan.want(vip(number, spread="a"))
    plan.step()
    assert plan.moves[Reason.APART] == 1


def test_a_node_that_is_behind_keeps_what_it_has_and_is_given_nothing() -> None:
    plan = Plan(nodes(3), [vip(number) for number in range(6)])
    before = plan.owners()
    behind = [node("n0", is_behind=True), node("n1"), node("n2")]

    assert plan.see(behind) == set()
    for number in range(10, 20):
        plan.want(vip(number))
    plan.settle()

    after = plan.owners()
    assert {one: owner for one, owner in after.items() if one in before} == before
    assert all(after[address(number)] != "n0" for number in range(10, 20))
    assert all(place.heir != "n0" for place in plan.planner.places.values()), "of a new plan it wouldn't hear"

    plan.see(nodes(3))
    plan.settle()
    assert plan.unevenness() <= 1


@pytest.mark.parametrize(
    "wishes",
    [{}, {"preference": prefer("n1")}, {"spread": "a"}],
    ids=["more than its share", "not preferred", "to be apart"],
)
def test_nothing_moves_away_from_a_node_that_is_behind_while_it_can_have_it(wishes: dict[str, object]) -> None:
    behind = [node("n0", is_behind=True), node("n1"), node("n2")]
    plan = Plan(behind, [vip(number, is_new=False, at="n0", **wishes) for number in range(4)])

    assert not any(plan.settle())
    assert set(plan.owners().values()) == {"n0"}

    plan.see(nodes(3))
    plan.settle()
    assert plan.owners() != dict.fromkeys(plan.owners(), "n0")


def test_where_all_are_behind_they_are_as_good_as_any() -> None:
    plan = Plan([node(f"n{number}", is_behind=True) for number in range(3)], [vip(number) for number in range(6)])

    plan.settle()

    assert plan.unevenness() == 0
