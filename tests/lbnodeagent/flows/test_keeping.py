"""Whose flows a node passes on, and what it waits for."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from lbnodeagent.flows.accounts import SETTLED
from lbnodeagent.flows.keeping import AWAITED, AWAITED_MOST, CLAIM, EARLY, LEFT, Keeping, joined
from lbnodeagent.flows.tables import FLOWS_MOST, Account, Adopted, Await, Change, Disown, Keep, Rule, Server, Stand
from lbnodeagent.gossip.flowsmessage import FlowsMessage
from purelb.addresses import IPAddress
from tests.lbnodeagent.flows.scenes import MAC11, OWN, W11, W12, flow, members, stand
from tests.lbnodeagent.scenes import ETH0, ETH1, NOW, VIP, VIP6

SERVER11, SERVER12 = Server("w11", W11, frozenset({MAC11})), Server("w12", W12)
TOLD = FlowsMessage("w11", VIP, W11, (flow(1), flow(2)), is_first=True, is_last=True)
KEPT = [Keep(VIP, (SERVER11,), ETH0), Change(VIP, SERVER11, (flow(1), flow(2)), (), True)]
ENDED = Keep(VIP, (), ETH0)


def owning() -> Keeping:
    """The VIP has come here."""
    keeping = Keeping(members())
    keeping.look(stand("own"), NOW)
    keeping.look(stand("own", is_here=True), NOW)
    return keeping


def test_what_the_last_owner_serves_is_passed_on() -> None:
    keeping = owning()

    assert keeping.received(TOLD, NOW) == KEPT
    assert keeping.count == 2


def test_what_begins_and_ends_later_changes_the_flows_alone() -> None:
    keeping = owning()
    keeping.received(TOLD, NOW)

    rules = keeping.received(FlowsMessage("w11", VIP, W11, (flow(3),), (flow(1),)), NOW)

    assert rules == [Change(VIP, SERVER11, (flow(3),), (flow(1),), False)]
    assert keeping.count == 2


def test_what_is_told_again_is_known_as_that_to_its_last_part() -> None:
    keeping = owning()
    keeping.received(TOLD, NOW)

    parts = (
        FlowsMessage("w11", VIP, W11, (flow(1),), is_first=True),
        FlowsMessage("w11", VIP, W11, (flow(2),), is_last=True),
        FlowsMessage("w11", VIP, W11, (flow(3),), is_last=True),
    )
    rules = [rule for part in parts for rule in keeping.received(part, NOW)]

    assert [rule.is_renewal for rule in rules if isinstance(rule, Change)] == [True, True, False]


def test_two_nodes_may_serve_flows_of_one_vip() -> None:
    keeping = owning()
    keeping.received(TOLD, NOW)

    rules = keeping.received(FlowsMessage("w12", VIP, W12, (flow(3),), is_first=True), NOW)

    assert rules[0] == Keep(VIP, (SERVER11, SERVER12), ETH0)
    assert keeping.gone("w11", NOW, for_good=False) == [
        Account(VIP, SERVER11, "lost", 2, 0),
        Keep(VIP, (SERVER12,), ETH0),
    ]


@pytest.mark.parametrize(
    "message",
    [
        FlowsMessage("w13", VIP, W11, (flow(1),)),
        FlowsMessage("w11", VIP, W12, (flow(1),)),
        FlowsMessage("w11", VIP, OWN, (flow(1),)),
        FlowsMessage("w11", ip_address("10.31.188.99"), W11, (flow(1),)),
    ],
    ids=["nobody we know", "another node's address", "our own address", "an address that nobody wants"],
)
def test_what_cannot_be_believed_is_refused_and_counted(message: FlowsMessage) -> None:
    keeping = owning()

    assert keeping.received(message, NOW) == []
    assert keeping.refused == 1


def test_more_flows_than_the_bound_are_refused() -> None:
    keeping = owning()
    many = FlowsMessage("w11", VIP, W11, (flow(1),) * FLOWS_MOST, is_first=True)
    keeping.received(many, NOW)

    assert keeping.received(FlowsMessage("w12", VIP, W12, (flow(2),), is_first=True), NOW) == []
    assert len(keeping.received(many, NOW)) == 1, "said anew they don't count twice"
    assert keeping.refused == 1


def test_what_is_said_to_have_ended_makes_room_only_when_all_is_told_anew() -> None:
    keeping = owning()
    half = FlowsMessage("w11", VIP, W11, (flow(1),) * (FLOWS_MOST // 2), (flow(2),) * (FLOWS_MOST // 2))
    for _ in range(2):
        assert keeping.received(half, NOW) != []
    assert keeping.count == 0

    assert keeping.received(half, NOW) == [], "the flows that ended may never have been told of"
    assert keeping.received(replace(half, is_first=True), NOW) != []


def test_of_a_node_that_serves_none_there_are_no_rules() -> None:
    assert owning().received(FlowsMessage("w11", VIP, W11, is_first=True, is_last=True), NOW) == []


def test_a_node_that_is_told_before_it_knows_to_be_the_owner_believes_it_for_a_while() -> None:
    keeping = Keeping(members())
    keeping.look(stand("w11"), NOW)

    assert keeping.received(TOLD, NOW) == KEPT
    assert keeping.look(stand("w11"), NOW + 1) == []

    assert keeping.due(NOW + EARLY) == [ENDED]


def test_flows_are_forgotten_with_their_vip_when_it_moves_on() -> None:
    keeping = owning()
    keeping.received(TOLD, NOW)

    assert keeping.look(stand("w12", is_here=True), NOW) == [], "it still comes here"
    assert keeping.look(stand("w12"), NOW) == [ENDED]


def test_flows_are_forgotten_when_nobody_wants_their_vip() -> None:
    keeping = owning()
    keeping.received(TOLD, NOW)

    assert keeping.look(stand(None, is_here=True), NOW) == [Await((VIP,), False), ENDED]
    assert keeping.count == 0


def test_flows_of_a_node_that_fails_are_forgotten_at_once() -> None:
    keeping = owning()
    keeping.received(TOLD, NOW)

    assert keeping.gone("w11", NOW + 9, for_good=False) == [Account(VIP, SERVER11, "lost", 2, 9), ENDED]
    assert keeping.totals == (2, 2)


def test_when_the_last_flow_of_a_node_has_ended_nothing_is_passed_on_to_it_any_more() -> None:
    keeping = owning()
    keeping.received(TOLD, NOW)
    keeping.due(NOW + AWAITED_MOST)
    keeping.received(FlowsMessage("w11", VIP, W11, (), (flow(1), flow(2)), is_last=True), NOW + 60)
    assert keeping.deadline == NOW + 60 + SETTLED

    assert keeping.due(NOW + 60 + SETTLED) == [Account(VIP, SERVER11, "ended", 2, 60), ENDED]
    assert keeping.deadline is None

    again = keeping.received(FlowsMessage("w11", VIP, W11, (flow(3),), is_last=True), NOW + 70)
    assert [type(rule) for rule in again] == [Keep, Change]


def test_what_an_earlier_run_passed_on_is_told_again_without_a_gap() -> None:
    keeping = Keeping(members())
    keeping.adopt(frozenset({Adopted(VIP, W11), Adopted(VIP, W12)}), NOW)
    keeping.look(stand("own", is_here=True), NOW)
    assert keeping.deadline == NOW + CLAIM

    rules = keeping.received(TOLD, NOW + 1)
    assert [rule.is_renewal for rule in rules if isinstance(rule, Change)] == [True]

    keeping.due(NOW + 1 + SETTLED)
    assert keeping.due(NOW + CLAIM) == [Disown((Adopted(VIP, W12),))], "nobody says that he serves that"
    assert keeping.deadline is None


def test_flows_of_a_node_whose_agent_left_are_passed_on_for_some_time() -> None:
    keeping = owning()
    keeping.received(TOLD, NOW)
    assert keeping.gone("w11", NOW, for_good=True) == []

    begun = Account(VIP, SERVER11, "begun", 2, LEFT - 1)
    assert keeping.due(NOW + LEFT - 1) == [Await((VIP,), False), begun]
    assert keeping.due(NOW + LEFT) == [Account(VIP, SERVER11, "lost", 2, LEFT), ENDED]


def test_flows_of_a_node_whose_agent_came_back_are_passed_on_without_end() -> None:
    keeping = owning()
    keeping.received(TOLD, NOW)
    keeping.gone("w11", NOW, for_good=True)

    keeping.alive("w11")

    assert keeping.due(NOW + LEFT) == [Await((VIP,), False), Account(VIP, SERVER11, "begun", 2, LEFT)]


def test_a_vip_that_comes_by_another_nic_has_its_flows_passed_on_by_that() -> None:
    keeping = owning()
    keeping.received(TOLD, NOW)

    assert keeping.look(Stand(VIP, "own", True, False, ETH1, OWN), NOW) == [Keep(VIP, (SERVER11,), ETH1)]


def test_flows_are_awaited_before_the_vip_comes_and_for_a_moment_after_that() -> None:
    keeping = Keeping(members())
    assert keeping.look(stand("w11"), NOW) == [Await((VIP,), True)]
    assert keeping.look(stand("own"), NOW) == []
    assert keeping.deadline is None

    keeping.look(stand("own", is_here=True), NOW)

    assert keeping.due(NOW + AWAITED) == []
    assert keeping.due(NOW + AWAITED_MOST) == [Await((VIP,), False)]
    assert keeping.deadline is None


def test_flows_are_awaited_longer_of_a_node_that_lives_until_it_dies() -> None:
    known = members()
    keeping = Keeping(known)
    keeping.look(stand("w11"), NOW)
    keeping.look(stand("own"), NOW)
    keeping.look(stand("own", is_here=True), NOW)
    assert keeping.due(NOW + AWAITED) == []
    assert keeping.deadline == NOW + AWAITED_MOST

    known.gone("w11", NOW, for_good=False)

    assert keeping.due(NOW + AWAITED) == [Await((VIP,), False)]


def test_while_flows_are_told_more_are_awaited_but_not_for_ever() -> None:
    keeping = owning()
    for tenths in range(0, int(AWAITED_MOST * 10), 5):
        keeping.received(FlowsMessage("w11", VIP, W11, (flow(tenths),)), NOW + tenths / 10)
        assert keeping.due(NOW + tenths / 10) == []

    assert keeping.due(NOW + AWAITED_MOST) == [Await((VIP,), False)]


def test_of_an_address_that_nobody_had_none_are_awaited() -> None:
    keeping = Keeping(members())

    assert keeping.look(stand("own", is_new=True), NOW) == []
    assert keeping.look(stand("own", is_here=True), NOW) == []


def test_of_an_address_that_was_here_when_the_agent_started_none_are_awaited() -> None:
    assert Keeping(members()).look(stand("own", is_here=True), NOW) == []


def test_what_is_awaited_of_many_addresses_is_one_change() -> None:
    rules: list[Rule] = [Await((VIP,), True), Await((VIP6,), True), ENDED, Await((VIP,), True), Await((VIP,), False)]
    both: tuple[IPAddress, ...] = (VIP, VIP6)

    assert joined(rules) == [Await(both, True), ENDED, Await((VIP,), True), Await((VIP,), False)]
