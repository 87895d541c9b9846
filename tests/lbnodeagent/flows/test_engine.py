"""Both sides of kept flows together, as the data plane has them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from lbnodeagent.flows.engine import Flows
from lbnodeagent.flows.tables import (
    Account,
    Ask,
    Await,
    Change,
    Fellows,
    Find,
    FlowCounts,
    Keep,
    Located,
    Look,
    Offer,
    OwnSubnet,
    Routed,
    Stand,
    Stray,
)
from lbnodeagent.gossip.flowsmessage import FlowsMessage
from lbnodeagent.gossip.straymessage import StrayAnswer, StrayQuestion
from tests.lbnodeagent.flows.scenes import LIFE, OWN, W11, W12, flow, members, stand
from tests.lbnodeagent.scenes import ETH0, NOW, VIP

VIPS = IPv4Address("10.189.0.1"), IPv4Address("10.189.0.2")
STRAY = Stray(bytes(8) + VIPS[0].packed)


def engine(*, is_on: bool = True) -> Flows:
    flows = Flows(members())
    flows.is_on = is_on
    return flows


def test_where_it_is_off_nothing_is_offered_kept_or_awaited() -> None:
    flows = engine(is_on=False)
    flows.look(stand("w11", is_here=True), NOW)
    flows.look(stand("w11"), NOW)
    flows.received(FlowsMessage("w11", VIP, W11, (flow(1),)), NOW)
    flows.run_due(NOW + 1000)

    assert flows.take() == []
    assert flows.deadline is None
    assert flows.is_settled()


def test_a_vip_that_is_given_away_is_looked_at_and_when_it_is_gone_its_flows_are_awaited() -> None:
    flows = engine()
    flows.look(stand("w11", is_here=True), NOW)
    assert flows.deadline == NOW
    flows.run_due(NOW)
    assert flows.take() == [Look((Offer(VIP, "w11", LIFE, OWN),))]

    flows.looked({VIP: 7}, NOW)
    flows.look(stand("w11"), NOW)

    assert flows.take() == [Await((VIP,), True)]
    assert flows.counts == FlowCounts(served=7, passed_on=0, refused=0, kept=0, lost=0)
    assert not flows.is_settled()


def test_what_another_node_serves_is_passed_on_until_that_node_fails() -> None:
    flows = engine()
    flows.look(stand("own", is_here=True), NOW)
    flows.received(FlowsMessage("w11", VIP, W11, (flow(1),), is_first=True, is_last=True), NOW)
    assert [type(output) for output in flows.take()] == [Keep, Change]
    assert flows.counts == FlowCounts(served=0, passed_on=1, refused=0, kept=1, lost=0)

    flows.gone("w11", NOW, for_good=False)

    account, output = flows.take()
    assert isinstance(account, Account)
    assert account.stage == "lost"
    assert isinstance(output, Keep)
    assert output.servers == ()
    assert flows.counts == FlowCounts(served=0, passed_on=0, refused=0, kept=1, lost=1)


def test_routed_vips_are_watched_together_and_what_comes_astray_is_asked_for() -> None:
    flows = engine()
    flows.subnets((OwnSubnet(IPv4Network("10.31.0.0/16"), ETH0, OWN),), NOW)
    for vip in VIPS:
        flows.look(Stand(vip, is_routed=True), NOW)

    first, second = flows.take()
    assert (type(first), second) == (Fellows, Routed(VIPS, True))

    flows.astray(4, [STRAY], NOW)
    (ask,) = flows.take()
    assert isinstance(ask, Ask)
    for node, server, found in (("w11", W11, ((0, 9),)), ("w12", W12, ())):
        flows.told_of_strays(StrayAnswer(node, ask.question.number, server, found), NOW)

    assert flows.take() == [Located(((STRAY, W11),))]
    assert flows.stray_counts == (1, 1)


def test_who_asks_is_answered_but_by_one_that_keeps_no_flows() -> None:
    question = StrayQuestion("w11", 1, W11, (STRAY,))
    for is_on in (True, False):
        flows = engine(is_on=is_on)
        flows.subnets((OwnSubnet(IPv4Network("10.31.0.0/16"), ETH0, OWN),), NOW)
        flows.look(Stand(VIPS[0], is_routed=True), NOW)
        flows.take()

        flows.told_of_strays(question, NOW)

        assert flows.take() == ([Find("w11", 1, OWN, ((0, STRAY),))] if is_on else [])
