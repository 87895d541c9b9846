"""Whom a node tells of the flows that it goes on serving."""

from __future__ import annotations

from lbnodeagent.flows.offers import AFTER, LATER, MOVING, SELDOM, SETTLED, SOON, UNTOLD, Offers
from lbnodeagent.flows.tables import Look, Offer, OfferEnded
from tests.lbnodeagent.flows.scenes import LIFE, NEXT_LIFE, OWN, joined, members, stand
from tests.lbnodeagent.scenes import NOW, VIP

TO_W11 = Look((Offer(VIP, "w11", LIFE, OWN),))


def given() -> Offers:
    """The VIP was here, and is w11's now."""
    offers = Offers(members())
    offers.look(stand("own", is_here=True), NOW)
    offers.look(stand("w11", is_here=True), NOW)
    return offers


def test_a_vip_that_is_anothers_now_is_looked_at_at_once_and_again_until_it_is_gone() -> None:
    offers = given()

    assert offers.due(NOW) == TO_W11
    assert offers.due(NOW) is None, "one look at a time"
    offers.looked({VIP: 3}, NOW)

    assert offers.deadline == NOW + SOON
    assert offers.due(NOW + SOON) == TO_W11
    assert offers.count == 3


def test_once_it_is_gone_it_is_looked_at_at_once_soon_and_then_more_and_more_seldom() -> None:
    offers = given()
    offers.due(NOW)
    offers.looked({VIP: 3}, NOW)

    offers.look(stand("w11"), NOW)

    for at, pause in ((NOW, SOON), (NOW + MOVING, LATER), (NOW + AFTER, SELDOM)):
        assert offers.due(at) == TO_W11
        offers.looked({VIP: 3}, at)
        assert offers.deadline == at + pause


def test_when_no_flow_is_left_nothing_is_looked_at_any_more() -> None:
    offers = given()
    offers.look(stand("w11"), NOW)
    offers.due(NOW)
    assert offers.looked({VIP: 0}, NOW) == [], "one may begin while neighbours haven't heard"

    offers.due(NOW + MOVING)

    assert offers.looked({VIP: 0}, NOW + MOVING) == [OfferEnded(VIP)]
    assert offers.deadline is None


def test_a_vip_that_comes_back_ends_its_offer() -> None:
    offers = given()

    assert offers.look(stand("own"), NOW) == [OfferEnded(VIP)]
    assert offers.due(NOW) is None


def test_a_vip_that_moves_on_has_its_flows_told_to_its_next_owner_at_once() -> None:
    offers = given()
    offers.look(stand("w11"), NOW)
    offers.due(NOW)
    offers.looked({VIP: 3}, NOW + AFTER)

    offers.look(stand("w12"), NOW + AFTER)

    assert offers.due(NOW + AFTER) == Look((Offer(VIP, "w12", LIFE, OWN),))


def test_a_vip_that_moves_on_while_it_is_looked_at_is_told_to_its_next_owner_at_once_too() -> None:
    offers = given()
    offers.due(NOW)
    offers.look(stand("w12"), NOW + 0.1)

    offers.looked({VIP: 0}, NOW + 5)

    assert offers.due(NOW + 5) == Look((Offer(VIP, "w12", LIFE, OWN),))


def test_a_look_that_failed_changes_no_count_and_is_made_again() -> None:
    offers = given()
    offers.due(NOW)
    offers.looked({VIP: 3}, NOW)
    offers.due(NOW + SOON)

    offers.looked({}, NOW + SOON)

    assert offers.count == 3
    assert offers.deadline == NOW + 2 * SOON


def test_a_node_that_leaves_has_told_of_what_began_while_its_neighbours_heard_of_the_move() -> None:
    offers = given()
    offers.due(NOW)
    offers.looked({VIP: 3}, NOW)
    offers.look(stand("w11"), NOW)
    assert not offers.is_settled()

    offers.due(NOW + SETTLED)
    assert not offers.is_settled()
    offers.looked({VIP: 4}, NOW + SETTLED)

    assert offers.is_settled()


def test_an_owner_whose_agent_passes_nothing_on_is_told_nothing_and_keeps_nobody_waiting() -> None:
    others = members(keeps_flows=False)
    offers = Offers(others)
    offers.look(stand("w11", is_here=True), NOW)

    assert offers.due(NOW) is None
    assert offers.is_settled()
    assert offers.deadline == NOW + LATER

    joined(others, "w11", NEXT_LIFE)
    assert offers.due(NOW + LATER) == Look((Offer(VIP, "w11", NEXT_LIFE, OWN),))


def test_an_agent_that_starts_is_told_once_it_knows_which_vips_are_wanted() -> None:
    known = members()
    offers = Offers(known)
    offers.look(stand("w11"), NOW)
    joined(known, "w11", NEXT_LIFE, is_ready=False)

    assert offers.due(NOW) is None

    joined(known, "w11", NEXT_LIFE)
    assert offers.due(NOW + LATER) == Look((Offer(VIP, "w11", NEXT_LIFE, OWN),))


def test_it_is_given_up_in_the_end() -> None:
    offers = Offers(members(keeps_flows=False))
    offers.look(stand("w11", is_here=True), NOW)
    offers.look(stand("w11"), NOW)

    assert offers.untold(NOW + UNTOLD - 1) == []
    assert offers.untold(NOW + UNTOLD) == [OfferEnded(VIP)]
    assert offers.deadline is None


def test_an_agent_that_starts_looks_once_for_flows_that_an_earlier_run_left() -> None:
    offers = Offers(members())

    offers.look(stand("w11"), NOW)
    assert offers.due(NOW) == TO_W11
    offers.looked({VIP: 0}, NOW)
    assert offers.deadline is None

    offers.look(stand("w11"), NOW)
    assert offers.due(NOW) is None


def test_nothing_is_offered_of_a_vip_that_nobody_wants() -> None:
    offers = given()

    assert offers.look(stand(None), NOW) == [OfferEnded(VIP)]
