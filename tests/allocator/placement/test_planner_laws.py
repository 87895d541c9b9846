"""The planner's promises, on whatever Hypothesis thinks of: even, steady, bounded, the same from the same."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.placement.values import Node, Vip
from purelb.membership import Standing
from tests.allocator.placement.builders import TEMPO, Plan, address, node, nodes, prefer, vip

STANDINGS = st.sampled_from([Standing.SERVING, Standing.SERVING, *Standing])
COUNTS = st.integers(2, 7)
VIPS = st.integers(0, 40)
LAWS = settings(max_examples=40, deadline=None)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Node], list[Vip]]:
    """Nodes of all kinds in two subnets, one of which serves in any case, and VIPs with all kinds of wishes."""
    count = draw(st.integers(1, 5))
    there = [node("n0", subnets=["10.0.0.0/16", "10.1.0.0/16"])]
    for number in range(1, count):
        subnets = draw(st.sampled_from([["10.0.0.0/16"], ["10.1.0.0/16"], ["10.0.0.0/16", "10.1.0.0/16"]]))
        more = {"weight": draw(st.integers(0, 3)), "is_behind": draw(st.booleans())}
        there.append(node(f"n{number}", draw(STANDINGS), subnets=subnets, **more))
    names = st.sampled_from([f"n{number}" for number in range(6)])
    vips = []
    for number in range(draw(st.integers(0, 12))):
        terms: dict[str, Any] = {
            "plan": tuple(draw(st.lists(names, max_size=2, unique=True))),
            "at": draw(st.none() | names),
            "is_new": draw(st.booleans()),
            "only": draw(st.none() | st.frozensets(names, max_size=3)),
            "rather": draw(st.none() | st.frozensets(names, max_size=3)),
            "preference": draw(st.none() | st.builds(prefer, names)),
            "spread": draw(st.none() | st.sampled_from(["a", "b"])),
        }
        vips.append(Vip(ip_address(f"10.{draw(st.integers(0, 1))}.1.{number}"), **terms))
    return there, vips


def histories(there: list[Node]) -> st.SearchStrategy[list[Node]]:
    """The same nodes after a change of one."""

    @st.composite
    def changed(draw: st.DrawFn) -> list[Node]:
        one = draw(st.sampled_from(there[1:] or there))
        others = [other for other in there if other != one]
        if one == there[0] or draw(st.booleans()):
            return others if one != there[0] else there
        return [*others, Node(one.name, draw(STANDINGS), one.subnets, one.weight)]

    return changed()


@LAWS
@given(COUNTS, VIPS)
def test_where_all_can_have_all_nodes_are_even_and_stay_so_after_any_death(count: int, vips: int) -> None:
    plan = Plan(nodes(count), map(vip, range(vips)))

    plan.settle()

    assert plan.unevenness() <= 1
    assert max(plan.unevenness(without=name) for name in plan.counts()) <= 2


@LAWS
@given(COUNTS, st.lists(st.sampled_from(["come", "go", "want", "forget", "wait"]), max_size=25), st.randoms())
def test_after_any_history_they_are_so_again(count: int, happens: list[str], chance: Random) -> None:
    plan = Plan(nodes(count), map(vip, range(2 * count)))
    there = {one.name for one in nodes(count)}
    wanted = set(range(2 * count))
    for what in happens:
        match what:
            case "come":
                there |= {chance.choice([one.name for one in nodes(count + 2)])}
            case "go" if len(there) > 2:
                there -= {chance.choice(sorted(there))}
            case "want":
                wanted |= {len(wanted) + 100}
                plan.want(vip(max(wanted)))
            case "forget" if wanted:
                gone = chance.choice(sorted(wanted))
                wanted -= {gone}
                plan.planner.forget(address(gone))
            case _:
                plan.wait(chance.choice([1.0, 30.0, 400.0]))
        plan.see([node(name) for name in sorted(there)])

    plan.settle()

    assert plan.unevenness() <= 1
    assert max(plan.unevenness(without=name) for name in there) <= 2


@LAWS
@given(st.data())
def test_a_change_of_one_node_moves_at_once_only_what_it_had(data: st.DataObject) -> None:
    there, vips = data.draw(worlds())
    plan = Plan(there, vips)
    plan.settle()
    after = data.draw(histories(there))
    changed = _changed(there, after)
    before = plan.owners()
    was_able = {one: place.domain.reach.rank for one, place in plan.planner.places.items()}

    moved = plan.see(after)

    for one in moved:
        is_better = plan.planner.places[one].domain.reach.rank != was_able[one]
        assert before[one] in {*changed, None} or is_better


def _changed(before: list[Node], after: list[Node]) -> set[str]:
    """The names of nodes that came, went or are different."""
    return {one.name for one in before if one not in after} | {one.name for one in after if one not in before}


@LAWS
@given(st.data())
def test_no_step_moves_more_than_it_may_and_none_while_a_node_is_missed(data: st.DataObject) -> None:
    there, vips = data.draw(worlds())
    plan = Plan(there, vips)
    plan.settle()
    plan.see(data.draw(histories(there)))
    lost = {one.name for one in there if one.standing is Standing.SERVING} - {
        name for name, one in plan.planner.eligibility.nodes.items() if one.standing is Standing.SERVING
    }
    until = plan.now + TEMPO.give_up if lost else plan.now

    while plan.balance.due(plan.now) is not None:
        moved = plan.step()
        assert len(moved) <= TEMPO.moves
        assert plan.now >= until or not moved


@LAWS
@given(COUNTS, st.integers(0, 60))
def test_a_node_that_joins_costs_no_more_moves_than_its_share(count: int, vips: int) -> None:
    plan = Plan(nodes(count), map(vip, range(vips)))
    plan.settle()

    assert plan.see(nodes(count + 1)) == set()
    moves = plan.settle()

    assert sum(map(len, moves)) <= math.ceil(vips / (count + 1))
    assert plan.unevenness() <= 1


@LAWS
@given(worlds(), st.randoms())
def test_the_same_gives_the_same_in_whatever_order(world: tuple[list[Node], list[Vip]], chance: Random) -> None:
    there, vips = world
    plan = Plan(there, vips)
    plan.settle()
    chance.shuffle(there)
    chance.shuffle(vips)
    other = Plan(there, vips)
    other.settle()

    for one in vips:
        assert plan.planner.placement(one.address) == other.planner.placement(one.address)


@LAWS
@given(worlds())
def test_a_vip_is_on_the_best_that_can_have_it_and_its_stand_in_is_another(world: tuple[list[Node], list[Vip]]) -> None:
    there, vips = world
    plan = Plan(there, vips)
    plan.settle()

    for one in vips:
        can = [other for other in there if any(one.address in subnet for subnet in other.subnets)]
        can = [other for other in can if one.only is None or other.name in one.only]
        if not can:
            assert plan.planner.placement(one.address) is None
            continue
        ranks = {other.name: _rank(other, one) for other in can}
        able = {name for name, rank in ranks.items() if rank == min(ranks.values())}
        owner, *heirs = plan.planner.placement(one.address) or ()
        assert owner in able
        assert len(heirs) == (len(can) > 1)
        assert set(heirs) <= (able - {owner} or {other.name for other in can} - {owner})


def _rank(node: Node, vip: Vip) -> tuple[int, bool]:
    """As agents rank a node for a VIP."""
    return list(Standing).index(node.standing), bool(vip.rather) and node.name not in (vip.rather or ())


@LAWS
@given(
    st.lists(st.sampled_from([(), ("n0",), ("n1",), ("n2",), ("n0", "n1"), ("n1", "n2")]), max_size=6),
    st.lists(st.integers(1, 3), min_size=3, max_size=3),
)
def test_whatever_eligibility_allows_is_reached(only: list[tuple[str, ...]], weights: list[int]) -> None:
    there = [node(f"n{number}", weight=weight) for number, weight in enumerate(weights)]
    confined = [frozenset(names) if names else None for names in only]
    plan = Plan(there, [vip(number, only=names) for number, names in enumerate(confined)])

    plan.settle()

    names = [one.name for one in there]
    ways = itertools.product(*(sorted(allowed or names) for allowed in confined))
    assert _cost(plan.counts(), weights) == min(_cost({n: way.count(n) for n in names}, weights) for way in ways)


def _cost(counts: Mapping[str, int], weights: list[int]) -> float:
    """What is least where nodes are as even as can be: each VIP costs its owner's share with it."""
    shares = ((counts[f"n{number}"], weight) for number, weight in enumerate(weights))
    return round(sum(k * (k + 1) / 2 / weight for k, weight in shares), 9)


@LAWS
@given(COUNTS, st.integers(1, 9), st.randoms())
def test_vips_that_are_to_be_apart_are_so_while_there_are_enough_nodes(count: int, vips: int, chance: Random) -> None:
    names = [one.name for one in nodes(count)]
    spread = [vip(number, spread="dns", plan=(chance.choice(names),)) for number in range(vips)]
    plan = Plan(nodes(count), [*spread, *(vip(100 + number) for number in range(count))])

    plan.settle()

    owners = [plan.owners()[one.address] for one in spread]
    assert len(set(owners)) == min(vips, count)


def test_subnets_of_different_length_are_told_apart() -> None:
    wide, narrow = ip_network("10.0.0.0/8"), ip_network("10.0.1.0/24")
    plan = Plan([Node("wide", subnets=frozenset({wide})), Node("narrow", subnets=frozenset({narrow}))], [vip(0)])

    assert set(plan.placement(0) or ()) == {"wide", "narrow"}
    plan.see([Node("wide", subnets=frozenset({wide}))])
    assert plan.placement(0) == ("wide",)
