"""The picture of the kernel's state follows what the kernel says."""

from __future__ import annotations

import pickle
from dataclasses import replace

from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import DefaultRoute, IfIndex, Link
from purelb.addresses import Family
from tests.lbnodeagent.scenes import DUMMY, ETH0, VIP, link, node, on_dummy, own, placed


def test_ours_and_the_nodes_own_are_told_apart() -> None:
    present = node(placed(ETH0, "10.31.188.64/16"), own(ETH0, "10.31.188.65/16"))

    assert [there.address for there in present.all_ours()] == [VIP]
    assert VIP not in [there.address for there in present.foreign(ETH0)]


def test_only_more_than_a_lifetime_is_news() -> None:
    present = node(placed(ETH0, "10.31.188.64/16"))

    assert not present.set_address(placed(ETH0, "10.31.188.64/16", expires=5000.0))
    assert present.ours(VIP)[0].expires == 5000.0
    assert present.set_address(placed(ETH0, "10.31.188.64/16", is_secondary=False))


def test_an_address_that_changes_hands_changes_sides() -> None:
    present = node(own(ETH0, "10.31.188.64/16"))

    present.set_address(placed(ETH0, "10.31.188.64/16"))

    assert present.ours(VIP)
    assert VIP not in [there.address for there in present.foreign(ETH0)]


def test_a_link_that_goes_takes_its_addresses_along() -> None:
    present = node(on_dummy("10.189.0.0/32"))

    gone = present.drop_link(DUMMY)

    assert [str(address) for address in gone] == ["10.189.0.0"]
    assert list(present.all_ours()) == []
    assert present.link_named("kube-lb0") is None


def test_a_dummy_interface_is_no_nic() -> None:
    dummy = replace(link(DUMMY, "kube-lb0"), has_neighbours=False)
    present = node(placed(ETH0, "10.31.188.64/16"), on_dummy("10.189.0.0/32"), links=[dummy])

    assert [nic.name for nic in present.nics_with(VIP)] == ["eth0"]
    assert present.nics_with(next(iter(present.ours(on_dummy("10.189.0.0/32").address))).address) == []
    assert present.is_on(VIP, "eth0")
    assert not present.is_on(VIP, "kube-lb0")


def test_the_preferred_default_route_comes_first_and_order_is_no_news() -> None:
    slow, fast = DefaultRoute(Family.IPV4, 200, (ETH0,)), DefaultRoute(Family.IPV4, 100, (DUMMY,))
    present = Present([Link(ETH0, "eth0")], routes=[slow, fast])

    assert present.default_routes(Family.IPV4) == [fast, slow]
    assert not present.set_routes([fast, slow])
    assert present.set_routes([slow])


def test_nothing_is_left_of_the_interfaces_of_pods_that_come_and_go() -> None:
    present = node()
    before = len(pickle.dumps(present))
    for number in range(100, 200):
        index = IfIndex(number)
        present.set_link(link(index, f"veth{number}"))
        present.set_address(own(index, f"fe80::{number}/64"))
        present.drop_link(index)

    assert len(pickle.dumps(present)) == before
