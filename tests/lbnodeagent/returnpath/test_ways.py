"""Which subnets need a way of their own for answers, and which router it is by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from lbnodeagent.kernel.interfaces import nic_subnets
from lbnodeagent.kernel.present import Present
from lbnodeagent.returnpath.ways import ReturnWays, Way, ways_of
from lbnodeagent.tables import DefaultRoute, IfIndex, PresentAddress
from purelb.addresses import Family
from purelb.nodeagents import NodeAgentConfig
from purelb.returnpath import ReturnPath
from tests.lbnodeagent.scenes import ETH0, ETH1, LO, link, own, placed

ETH2 = IfIndex(9)
CONFIG = NodeAgentConfig(local_interface="^eth")
ON = ReturnPath()
TO_ETH0 = DefaultRoute(Family.IPV4, 0, (ETH0,), (ip_address("10.31.0.1"),))
LAN = ip_network("172.30.0.0/24")


def by(index: IfIndex, gateway: str, metric: int = 200) -> DefaultRoute:
    router = ip_address(gateway)
    return DefaultRoute(Family.IPV4 if router.version == 4 else Family.IPV6, metric, (index,), (router,))


def found(
    wanted: ReturnPath | None,
    *routes: DefaultRoute,
    more: Iterable[PresentAddress] = (),
    without_cable: IfIndex | None = None,
) -> ReturnWays:
    """On a node with eth0, by which it goes out, and eth1 with 172.30.0.11/24; and eth2, if it has an address."""
    names = {LO: "lo", ETH0: "eth0", ETH1: "eth1", ETH2: "eth2"}
    present = Present(
        [link(index, name, has_carrier=index != without_cable) for index, name in names.items()],
        [own(ETH0, "10.31.188.11/16"), own(ETH1, "172.30.0.11/24"), placed(ETH1, "172.30.0.64/24"), *more],
        [TO_ETH0, *routes],
    )
    return ways_of(wanted, nic_subnets(CONFIG, present), present)


def routers(ways: ReturnWays) -> list[tuple[str, str, int, int]]:
    return [(way.interface, str(way.gateway), way.table, way.mark) for way in ways.ways]


def test_switched_off_there_is_none() -> None:
    assert found(None, by(ETH1, "172.30.0.254")) == ReturnWays()


def test_a_nic_beside_that_of_the_default_route_answers_by_its_own_router() -> None:
    own_there = (ip_address("172.30.0.11"),)
    way = Way(LAN, ETH1, "eth1", ip_address("172.30.0.254"), own_there, 1, 0x1000, 0x1000)

    assert found(ON, by(ETH1, "172.30.0.254")) == ReturnWays((way,))


def test_the_router_that_is_named_goes_before_that_of_the_nic() -> None:
    named = ReturnPath((ip_address("10.99.0.1"), ip_address("172.30.0.253")))

    assert routers(found(named, by(ETH1, "172.30.0.254"))) == [("eth1", "172.30.0.253", 79341, 0x1000)]


def test_without_a_known_router_there_is_a_sentence() -> None:
    (sentence,) = found(ON).refused

    assert sentence == (
        "no router of 172.30.0.0/24 on eth1 is known: the interface has no default route in the main table, and "
        "local.returnPath.gateways names none"
    )


def test_the_nic_of_the_default_route_needs_none_unless_its_router_is_named() -> None:
    """Else what a route of the node's leads elsewhere, as to the subnet of a NIC for administrators, leaves by that."""
    named = ReturnPath((ip_address("10.31.0.1"), ip_address("172.30.0.254")), (12, 13))

    assert routers(found(ReturnPath((ip_address("172.30.0.254"),)))) == [("eth1", "172.30.0.254", 79341, 0x1000)]
    assert routers(found(named)) == [
        ("eth0", "10.31.0.1", 79341, 0x1000),
        ("eth1", "172.30.0.254", 79342, 0x2000),
    ]


def test_a_default_route_by_two_nics_is_that_of_neither() -> None:
    gateways = ip_address("10.31.0.1"), ip_address("172.30.0.254")
    both = DefaultRoute(Family.IPV4, 0, (ETH0, ETH1), gateways)

    ways = found(ReturnPath(mark_bits=(12, 13)), both)
    assert [(way.interface, way.gateway) for way in ways.ways] == [("eth0", gateways[0]), ("eth1", gateways[1])]


def test_ways_of_a_route_that_are_not_told_apart_say_nothing_of_a_router() -> None:
    """One of its ways leads to the link itself."""
    both = DefaultRoute(Family.IPV4, 0, (ETH0, ETH1), (ip_address("172.30.0.254"),))

    assert [way.interface for way in found(ON, both).ways] == ["eth0"]
    assert len(found(ON, both).refused) == 1


def test_of_two_subnets_of_a_nic_each_has_the_router_that_is_on_it() -> None:
    more = [own(ETH1, "172.31.0.11/24")]
    two = ReturnPath(mark_bits=(12, 13))

    ways = found(two, by(ETH1, "172.30.0.254"), by(ETH1, "172.31.0.254", 300), more=more)
    assert routers(ways) == [
        ("eth1", "172.30.0.254", 79341, 0x1000),
        ("eth1", "172.31.0.254", 79342, 0x2000),
    ]


def test_each_family_has_its_own_and_a_link_local_router_will_do() -> None:
    ways = found(
        ON,
        by(ETH0, "fe80::1", 100),
        by(ETH1, "172.30.0.254"),
        by(ETH1, "fe80::2"),
        more=[own(ETH1, "fd00:172:30::11/64")],
    )

    assert routers(ways) == [("eth1", "172.30.0.254", 79341, 0x1000), ("eth1", "fe80::2", 79341, 0x1000)]


def test_a_subnet_for_which_no_mark_is_left_is_told_of() -> None:
    routes = by(ETH1, "172.30.0.254"), by(ETH2, "172.31.0.254")
    more = [own(ETH2, "172.31.0.11/24")]

    one = found(ON, *routes, more=more)
    assert [way.interface for way in one.ways] == ["eth1"]
    assert one.refused == ("172.31.0.0/24 on eth2 is one subnet too many: 1 of local.returnPath.markBits tell 1 apart",)
    assert [way.mark for way in found(replace(ON, mark_bits=(4, 5)), *routes, more=more).ways] == [0x10, 0x20]


def test_all_marks_of_some_bits_are_told_apart_and_stay_in_them() -> None:
    addresses = [own(ETH1, f"172.16.{number}.11/24") for number in range(8)]
    gateways = tuple(ip_address(f"172.16.{number}.1") for number in range(8))

    ways = found(ReturnPath(gateways, (4, 5, 12)), more=addresses)
    assert [way.mark for way in ways.ways] == [0x10, 0x20, 0x30, 0x1000, 0x1010, 0x1020, 0x1030]
    assert {way.mask for way in ways.ways} == {0x1030}
    assert len(ways.refused) == 2, "the eighth, and that of eth1 without a router"


@pytest.mark.parametrize("on", [ON, ReturnPath((ip_address("172.30.0.254"),))])
def test_a_nic_without_a_cable_has_none_and_nothing_is_said_of_it(on: ReturnPath) -> None:
    assert found(on, without_cable=ETH1) == ReturnWays()
