"""Which node has which address of its own."""

from __future__ import annotations

from ipaddress import ip_address

from lbnodeagent.gossip.hosts import FAILED, LEFT, PROVEN, Hosts
from tests.lbnodeagent.scenes import NOW

ONE, OTHER = ip_address("10.31.188.11"), ip_address("192.168.50.11")
GOES = NOW + PROVEN


def after_a_minute(*, for_good: bool = False) -> Hosts:
    """A node that was there for a minute, and went."""
    hosts = Hosts()
    hosts.here("w11", [ONE], NOW)
    assert hosts.gone("w11", GOES, for_good=for_good) == set()
    return hosts


def test_a_node_has_what_it_says_and_no_longer_what_it_said_before() -> None:
    hosts = Hosts()

    assert hosts.here("w11", [ONE], NOW) == {ONE}
    assert hosts.node_with(ONE) == "w11"
    assert hosts.here("w11", [OTHER], NOW) == {ONE, OTHER}
    assert hosts.node_with(ONE) is None


def test_a_node_that_failed_finds_its_address_free_a_day_later() -> None:
    hosts = after_a_minute()

    assert hosts.forget_old(GOES + FAILED - 1) == set()
    assert hosts.node_with(ONE) == "w11"
    assert hosts.forget_old(GOES + FAILED) == {ONE}
    assert hosts.node_with(ONE) is None


def test_a_node_whose_agent_is_replaced_has_its_address_meanwhile() -> None:
    hosts = after_a_minute(for_good=True)
    hosts.here("w11", [ONE], GOES)

    hosts.forget_old(GOES + LEFT)

    assert hosts.node_with(ONE) == "w11"


def test_what_a_member_of_a_moment_claimed_goes_with_it() -> None:
    hosts = Hosts()
    hosts.here("w11", [ONE], NOW)
    hosts.here("w11", [ONE], GOES - 2)

    assert hosts.gone("w11", GOES - 1, for_good=False) == {ONE}
    assert hosts.node_with(ONE) is None


def test_who_shows_a_node_that_is_gone_for_a_moment_renews_nothing_and_takes_nothing_away() -> None:
    hosts = after_a_minute()
    at = GOES + FAILED - 10

    assert hosts.here("w11", [OTHER], at) == {OTHER}
    assert hosts.node_with(ONE) == "w11"
    assert hosts.gone("w11", at + 1, for_good=True) == {OTHER}
    assert hosts.node_with(ONE) == "w11"
    assert hosts.forget_old(GOES + FAILED) == {ONE}


def test_a_node_that_came_back_elsewhere_has_its_former_address_no_longer_once_it_stays() -> None:
    hosts = after_a_minute()
    hosts.here("w11", [OTHER], GOES + 10)

    assert hosts.forget_old(GOES + 10 + PROVEN - 1) == set()
    assert hosts.forget_old(GOES + 10 + PROVEN) == {ONE}
    assert hosts.node_with(OTHER) == "w11"


def test_with_a_key_that_is_retired_go_the_claims_of_all_that_are_gone() -> None:
    hosts = after_a_minute()
    hosts.here("w12", [OTHER], GOES)

    assert hosts.forget_gone() == {ONE}
    assert hosts.node_with(OTHER) == "w12"


def test_an_address_that_two_nodes_claim_is_the_others_when_one_gives_it_up() -> None:
    hosts = Hosts()
    hosts.here("w11", [ONE], NOW)
    hosts.here("w12", [ONE], NOW)

    hosts.here("w11", [], NOW)

    assert hosts.node_with(ONE) == "w12"


def test_who_goes_and_comes_under_ever_new_names_fills_no_memory() -> None:
    hosts = Hosts()
    for number in range(5000):
        hosts.here(f"w{number}", [ip_address(number)], NOW)
        hosts.gone(f"w{number}", GOES, for_good=False)

    assert hosts.node_with(ip_address(0)) is None
    assert hosts.node_with(ip_address(4999)) == "w4999"
