"""Which node has which address of its own."""

from __future__ import annotations

from ipaddress import ip_address

from lbnodeagent.gossip.hosts import FAILED, LEFT, Hosts
from tests.lbnodeagent.scenes import NOW

ONE, OTHER = ip_address("10.31.188.11"), ip_address("192.168.50.11")


def test_a_node_has_what_it_says_and_no_longer_what_it_said_before() -> None:
    hosts = Hosts()

    assert hosts.here("w11", [ONE]) == {ONE}
    assert hosts.node_with(ONE) == "w11"
    assert hosts.here("w11", [OTHER]) == {ONE, OTHER}
    assert hosts.node_with(ONE) is None


def test_a_node_that_failed_finds_its_address_free_a_day_later() -> None:
    hosts = Hosts()
    hosts.here("w11", [ONE])
    hosts.gone("w11", NOW, for_good=False)

    assert hosts.forget_old(NOW + FAILED - 1) == set()
    assert hosts.node_with(ONE) == "w11"
    assert hosts.forget_old(NOW + FAILED) == {ONE}
    assert hosts.node_with(ONE) is None


def test_a_node_whose_agent_is_replaced_has_its_address_meanwhile() -> None:
    hosts = Hosts()
    hosts.here("w11", [ONE])
    hosts.gone("w11", NOW, for_good=True)
    hosts.here("w11", [ONE])

    hosts.forget_old(NOW + LEFT)

    assert hosts.node_with(ONE) == "w11"


def test_an_address_that_two_nodes_claim_is_the_others_when_one_gives_it_up() -> None:
    hosts = Hosts()
    hosts.here("w11", [ONE])
    hosts.here("w12", [ONE])

    hosts.here("w11", [])

    assert hosts.node_with(ONE) == "w12"


def test_who_goes_and_comes_under_ever_new_names_fills_no_memory() -> None:
    hosts = Hosts()
    for number in range(5000):
        hosts.here(f"w{number}", [ip_address(number)])
        hosts.gone(f"w{number}", NOW, for_good=False)

    assert hosts.node_with(ip_address(0)) is None
    assert hosts.node_with(ip_address(4999)) == "w4999"
