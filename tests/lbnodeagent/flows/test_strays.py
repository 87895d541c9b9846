"""Whose the connections are that a router sends to another node than before."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network, IPv6Address, ip_address

import pytest

from lbnodeagent.flows.strays import BURST, DECIDED, FELLOWS_MOST, HELD, LEFT, RATE, SETTLED, SOON, Strays
from lbnodeagent.flows.tables import (
    STRAY,
    Ask,
    Fellows,
    Find,
    Located,
    OwnSubnet,
    Released,
    Routed,
    Settled,
    Stand,
    Stray,
)
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.meta import Meta, encode_meta
from lbnodeagent.gossip.straymessage import STRAYS_MOST, StrayAnswer, StrayQuestion
from purelb.addresses import IPAddress
from tests.lbnodeagent.flows.scenes import LIFE, MAC11, OWN, W11, W12, joined, members
from tests.lbnodeagent.scenes import ETH0, ETH1, NOW

ROUTED, OTHER = ip_address("10.189.0.1"), ip_address("10.189.0.2")
HERE = OwnSubnet(IPv4Network("10.31.0.0/16"), ETH0, OWN)
MACS = frozenset({MAC11})
BOTH = Fellows(4, ETH0, frozenset({W11, W12}), MACS)


def stray(port: int, vip: IPAddress = ROUTED) -> Stray:
    """A connection of the client to a routed VIP."""
    return Stray(STRAY.pack(port, 80) + ip_address("10.31.100.2").packed + vip.packed)


def routing(others: Members) -> Strays:
    """A node of which nobody knows yet where it is."""
    strays = Strays(others)
    strays.look(Stand(ROUTED, is_routed=True), NOW)
    return strays


def beside(others: Members | None = None) -> Strays:
    """The node ``own`` beside w11 and w12, which routes the VIP."""
    strays = routing(others or members())
    strays.subnets((HERE,), NOW)
    return strays


def asking(*ports: int) -> tuple[Strays, int]:
    """It has asked for these, by that number."""
    strays = beside()
    (ask,) = strays.astray(4, [stray(port) for port in ports], NOW)
    return strays, ask.question.number


def answer(number: int, *found: tuple[int, int], sender: str = "w11", server: IPAddress = W11) -> StrayAnswer:
    return StrayAnswer(sender, number, server, found)


def test_vips_that_are_routed_are_watched_for_as_long_as_they_are() -> None:
    strays = beside()

    assert strays.look(Stand(OTHER, is_routed=True), NOW) == [Routed((OTHER,), True)]
    assert strays.look(Stand(OTHER, is_routed=True), NOW) == []
    assert strays.look(Stand(OTHER), NOW) == [Routed((OTHER,), False)]


def test_where_nothing_is_routed_nothing_looks_at_packets() -> None:
    strays = Strays(members())
    assert strays.subnets((HERE,), NOW) == []

    assert strays.look(Stand(ROUTED, is_routed=True), NOW) == [BOTH, Routed((ROUTED,), True)]
    assert strays.look(Stand(ROUTED), NOW) == [Fellows(4), Routed((ROUTED,), False)]


def test_fellows_are_those_that_keep_flows_too_on_the_subnet_where_most_of_them_are() -> None:
    elsewhere = OwnSubnet(IPv4Network("192.168.0.0/24"), ETH1, ip_address("192.168.0.1"))
    strays = routing(members())

    assert strays.subnets((elsewhere, HERE), NOW) == [BOTH]
    assert strays.subnets((elsewhere, HERE), NOW) == []


def test_beside_nodes_that_keep_no_flows_nothing_is_held_back_or_asked() -> None:
    strays = routing(members(keeps_flows=False))

    assert strays.subnets((HERE,), NOW) == []
    assert strays.astray(4, [stray(1)], NOW) == []


def test_all_fellows_are_asked_for_what_is_held_back() -> None:
    asks = beside().astray(4, [stray(1), stray(2)], NOW)

    assert asks == [Ask(frozenset({"w11", "w12"}), StrayQuestion("own", 1, OWN, (stray(1), stray(2))))]


def test_many_are_asked_for_in_several_questions() -> None:
    asks = beside().astray(4, [stray(1)] * (STRAYS_MOST + 1), NOW)

    assert [len(ask.question.strays) for ask in asks] == [STRAYS_MOST, 1]
    assert [ask.question.number for ask in asks] == [1, 2]


def test_what_a_fellow_serves_is_passed_on_to_it_once_all_have_answered_and_the_rest_is_let_go() -> None:
    strays, number = asking(1, 2)

    assert strays.answered(answer(number, (0, 100)), NOW) == []
    rules = strays.answered(answer(number, sender="w12", server=W12), NOW)

    assert rules == [Located(((stray(1), W11),)), Released((stray(2),))]
    assert strays.deadline is None
    assert (strays.asked, strays.located) == (2, 1)


def test_it_isnt_kept_waiting_for_a_fellow_that_doesnt_answer() -> None:
    strays, number = asking(1, 2)
    strays.answered(answer(number, (0, 100)), NOW)
    assert strays.deadline == NOW + DECIDED

    assert strays.due(NOW + DECIDED) == [Located(((stray(1), W11),))]

    late = strays.answered(answer(number, (1, 100), sender="w12", server=W12), NOW + 1)
    assert late == [Located(((stray(2), W12),))], "what comes later counts for the others"


def test_of_two_that_say_to_serve_it_the_one_is_right_that_heard_of_it_last() -> None:
    strays, number = asking(1)
    strays.answered(answer(number, (0, 500)), NOW)

    rules = strays.answered(answer(number, (0, 432000), sender="w12", server=W12), NOW)

    assert rules == [Located(((stray(1), W12),))]


def test_what_is_unknown_to_all_but_one_that_dies_is_let_go_when_that_is_known() -> None:
    others = members()
    strays = beside(others)
    (ask,) = strays.astray(4, [stray(1)], NOW)
    strays.answered(answer(ask.question.number), NOW)

    others.gone("w12", NOW + 0.3, for_good=False)
    assert strays.gone("w12", NOW + 0.3, for_good=False) == [Released((stray(1),))]
    assert strays.due(NOW + 0.3) == [replace(BOTH, servers=frozenset({W11}))]


def test_a_question_that_nobody_answers_is_forgotten_with_what_the_kernel_holds_back() -> None:
    strays, number = asking(1)
    assert strays.deadline == NOW + HELD

    strays.due(NOW + HELD)

    assert strays.deadline is None
    assert strays.answered(answer(number, (0, 100)), NOW + HELD) == []


@pytest.mark.parametrize(
    "wrong",
    [
        answer(1, (0, 100), sender="w13"),
        answer(2, (0, 100)),
        answer(1, (0, 100), server=W12),
        answer(1, (0, 100), server=ip_address("8.8.8.8")),
        answer(1, (0, 100), server=OWN),
        answer(1, (1, 100), (9, 100)),
    ],
    ids=["nobody we know", "not asked", "another's address", "off the subnet", "our own address", "more than asked"],
)
def test_what_cannot_be_believed_changes_nothing(wrong: StrayAnswer) -> None:
    strays, _ = asking(1)

    assert strays.answered(wrong, NOW) == []
    assert strays.due(NOW + DECIDED) == []


def test_an_answer_counts_once() -> None:
    strays, number = asking(1)
    strays.answered(answer(number), NOW)

    assert strays.answered(answer(number, (0, 100)), NOW) == []


def test_what_was_found_of_a_vip_that_nobody_wants_any_more_isnt_passed_on() -> None:
    strays, number = asking(1)
    strays.look(Stand(ROUTED), NOW)

    strays.answered(answer(number, (0, 100)), NOW)
    assert strays.answered(answer(number, sender="w12", server=W12), NOW) == []


def test_who_makes_up_connections_has_no_more_than_so_many_asked_for() -> None:
    strays = beside()
    asked = sum(len(ask.question.strays) for ask in strays.astray(4, [stray(1)] * (BURST + 5), NOW))

    assert asked == BURST
    assert strays.refused == 5
    assert strays.astray(4, [stray(1)], NOW) == []
    (later,) = strays.astray(4, [stray(1)] * (RATE + 5), NOW + 1)
    assert len(later.question.strays) == RATE


def test_who_asks_is_answered_where_it_can_be_reached() -> None:
    question = StrayQuestion("w11", 7, W11, (stray(1), stray(3)))

    assert beside().asked_by(question) == Find("w11", 7, OWN, ((0, stray(1)), (1, stray(3))))


def test_an_agent_that_doesnt_know_a_vip_yet_doesnt_say_to_serve_none_of_its_connections() -> None:
    strays = beside()

    assert strays.asked_by(StrayQuestion("w11", 7, W11, (stray(1), stray(2, OTHER)))) is None
    assert strays.refused == 0


@pytest.mark.parametrize(
    ("sender", "asker"),
    [("w13", W11), ("w11", W12), ("w11", ip_address("8.8.8.8")), ("w11", IPv6Address("fd00::1"))],
    ids=["nobody we know", "another's address", "off the subnet", "of another IP version"],
)
def test_a_stranger_isnt_answered(sender: str, asker: IPAddress) -> None:
    strays = beside()

    assert strays.asked_by(StrayQuestion(sender, 7, asker, (stray(1),))) is None
    assert strays.refused == 1


def test_a_node_whose_agent_left_is_passed_on_to_for_some_time() -> None:
    others = members()
    strays = beside(others)
    others.gone("w11", NOW, for_good=True)
    strays.gone("w11", NOW, for_good=True)

    assert strays.due(NOW) == []
    assert strays.deadline == NOW + LEFT
    assert strays.due(NOW + LEFT) == [Fellows(4, ETH0, frozenset({W12}))]


def test_what_nobody_serves_isnt_let_go_while_an_agent_may_come_back() -> None:
    others = members()
    strays = beside(others)
    others.gone("w11", NOW, for_good=True)
    strays.gone("w11", NOW, for_good=True)
    (ask,) = strays.astray(4, [stray(1)], NOW)
    assert ask.nodes == {"w12"}

    assert strays.answered(answer(ask.question.number, sender="w12", server=W12), NOW) == []


def test_an_agent_that_came_back_is_asked_again() -> None:
    others = members()
    strays = beside(others)
    others.gone("w11", NOW, for_good=True)
    strays.gone("w11", NOW, for_good=True)
    strays.due(NOW)
    joined(others, "w11", LIFE)
    strays.alive("w11", NOW)

    assert strays.deadline == NOW + SOON
    assert strays.due(NOW + SOON) == []
    (ask,) = strays.astray(4, [stray(1)], NOW + SOON)
    assert ask.nodes == {"w11", "w12"}


def test_what_is_new_of_a_node_is_taken_up_before_a_vip_comes() -> None:
    others = Members("own")
    strays = routing(others)
    strays.subnets((HERE,), NOW)
    joined(others, "w12", LIFE)
    strays.alive("w12", NOW)

    assert strays.subnets((HERE,), NOW) == [Fellows(4, ETH0, frozenset({W12}))]


def test_what_an_earlier_run_left_goes_once_all_are_known() -> None:
    strays = beside()
    strays.begin(NOW)
    assert strays.due(NOW + SETTLED - 1) == []

    assert strays.due(NOW + SETTLED) == [BOTH, Fellows(6), Settled()]
    assert strays.deadline is None


def test_what_is_said_again_of_a_node_is_nothing_new() -> None:
    strays = beside()
    strays.alive("w11", NOW)

    assert strays.deadline is None


def test_beside_more_nodes_than_routers_have_next_hops_nothing_is_held_back() -> None:
    others = members()
    strays = beside(others)
    for number in range(FELLOWS_MOST - 1):
        address = ip_address("10.31.100.0") + number
        meta = Meta(True, life=LIFE, addresses=frozenset({address}), keeps_flows=True)
        others.joined(f"n{number}", encode_meta(meta), address, NOW)
        strays.alive(f"n{number}", NOW)

    assert strays.due(NOW + SOON) == [Fellows(4)]
    assert strays.astray(4, [stray(1)], NOW + SOON) == []
