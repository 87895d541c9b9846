"""Both sides of kept flows together, as the data plane has them."""

from __future__ import annotations

from lbnodeagent.flows.engine import Flows
from lbnodeagent.flows.tables import Await, Change, Keep, Look, Offer
from lbnodeagent.gossip.flowsmessage import FlowsMessage
from tests.lbnodeagent.flows.scenes import LIFE, OWN, W11, flow, members, stand
from tests.lbnodeagent.scenes import NOW, VIP


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
    assert flows.counts == (7, 0, 0)
    assert not flows.is_settled()


def test_what_another_node_serves_is_passed_on_until_that_node_fails() -> None:
    flows = engine()
    flows.look(stand("own", is_here=True), NOW)
    flows.received(FlowsMessage("w11", VIP, W11, (flow(1),), is_first=True), NOW)
    assert [type(output) for output in flows.take()] == [Keep, Change]
    assert flows.counts == (0, 1, 0)

    flows.gone("w11", NOW, for_good=False)

    (output,) = flows.take()
    assert isinstance(output, Keep)
    assert output.servers == ()
    assert flows.counts == (0, 0, 0)
