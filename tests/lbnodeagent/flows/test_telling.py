"""What is said of flows again, and what isn't."""

from __future__ import annotations

from dataclasses import replace

from lbnodeagent.flows.tables import Offer
from lbnodeagent.flows.telling import RENEW, Told, news, part, told_now
from lbnodeagent.gossip.flowsmessage import FlowsMessage
from tests.lbnodeagent.flows.scenes import LIFE, NEXT_LIFE, OWN, flow
from tests.lbnodeagent.scenes import NOW, VIP

OFFER = Offer(VIP, "w11", LIFE, OWN)
ONE_AND_TWO = Told(OFFER, frozenset({flow(1), flow(2)}), NOW, NOW, 2)


def test_at_first_all_is_told() -> None:
    message = news("own", OFFER, [flow(1)], None, NOW)

    assert message == FlowsMessage("own", VIP, OWN, (flow(1),), is_first=True, is_last=True)


def test_then_only_what_began_or_ended() -> None:
    message = news("own", OFFER, [flow(2), flow(3)], ONE_AND_TWO, NOW + 1)

    assert message == FlowsMessage("own", VIP, OWN, (flow(3),), (flow(1),), is_last=True)
    assert told_now(OFFER, [flow(2)], ONE_AND_TWO, NOW + 1) == Told(OFFER, frozenset({flow(2)}), NOW, NOW, 2)


def test_after_parts_of_it_were_told_it_is_said_that_there_is_no_more() -> None:
    known = Told(OFFER, frozenset({flow(1)}), NOW, NOW, 1)

    assert part("own", OFFER, [flow(1)], is_first=True) == FlowsMessage("own", VIP, OWN, (flow(1),), is_first=True)
    assert news("own", OFFER, [flow(1)], known, NOW, is_open=True) == FlowsMessage("own", VIP, OWN, is_last=True)


def test_without_news_nothing_is_told() -> None:
    assert news("own", OFFER, [], None, NOW) is None
    assert news("own", OFFER, [flow(2), flow(1)], ONE_AND_TWO, NOW + 1) is None


def test_another_run_of_the_new_owners_agent_is_told_all() -> None:
    message = news("own", replace(OFFER, life=NEXT_LIFE), [flow(1)], ONE_AND_TWO, NOW + 1)

    assert message is not None
    assert message.is_first


def test_before_they_would_be_forgotten_all_are_told_again() -> None:
    message = news("own", OFFER, [flow(1), flow(2)], ONE_AND_TWO, NOW + RENEW)

    assert message is not None
    assert message.is_first
    assert set(message.begun) == {flow(1), flow(2)}
    assert told_now(OFFER, [flow(1)], ONE_AND_TWO, NOW + RENEW).renewed_at == NOW + RENEW


def test_when_the_last_one_ended_meanwhile_that_is_told() -> None:
    assert news("own", OFFER, [], ONE_AND_TWO, NOW + RENEW) == FlowsMessage(
        "own", VIP, OWN, is_first=True, is_last=True
    )
