"""What no agent does, whatever it is told: on whole clusters."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

from lbnodeagent.messages import LandmarksKnown
from lbnodeagent.tables import Announcement, IfIndex, Link, Mac
from tests.lbnodeagent.stage.world import World

N1 = ip_address("10.31.188.1")
RESOLVER = ip_address("10.31.188.53")


def cluster(size: int = 3) -> World:
    world = World(seed=1, size=size)
    world.begin()
    world.run(5.0)
    return world


def reasons(world: World) -> set[str]:
    """What agents said of VIPs that can't be announced."""
    return {
        report.error
        for node in world.nodes.values()
        if node.agent is not None
        for report in node.agent.reports
        if isinstance(report, Announcement) and report.state == "failed"
    }


def takers(world: World, address: object) -> set[str]:
    """The nodes whose agent put the address on an interface."""
    return {
        name
        for name, node in world.nodes.items()
        if any(there.address == address and there.is_ours for there in node.kernel.addresses.values())
    }


def test_the_address_of_a_node_is_taken_by_no_other_though_a_service_has_it() -> None:
    world = cluster()

    for number in range(1, 4):
        world.want(ip_address(f"10.31.188.{number}"))
    world.run(30.0)

    assert [takers(world, ip_address(f"10.31.188.{number}")) for number in range(1, 4)] == [set(), set(), set()]
    assert any("node n" in reason and "take it out of the pool" in reason for reason in reasons(world))


def test_an_address_goes_when_its_node_joins() -> None:
    world = cluster()
    world.cut_power("n1")
    world.run(10.0)
    world.want(N1)  # who reads the API after a long night can't know whose it was

    world.restore_power("n1")
    world.run(30.0)

    assert takers(world, N1) == set()


def test_the_address_of_a_node_that_is_down_for_a_while_stays_free_for_it() -> None:
    world = cluster()
    world.stop_agent("n1")
    world.run(10.0)

    world.want(N1)
    world.run(10.0)

    assert takers(world, N1) == set()


def test_a_resolver_is_no_vip_and_a_vip_that_turns_out_to_be_one_goes() -> None:
    world = cluster()
    world.want(RESOLVER)
    world.run(5.0)
    assert takers(world, RESOLVER)

    for node in world.nodes.values():
        assert node.agent is not None
        node.agent.told([LandmarksKnown({RESOLVER: "a resolver of this node"})])
    world.run(30.0)

    assert takers(world, RESOLVER) == set()
    assert reasons(world) == {"10.31.188.53 is a resolver of this node: take it out of the pool"}


SECOND = IfIndex(3)
LAN_VIP = ip_address("192.168.50.64")


def dual_homed() -> World:
    """Each node has a second NIC, which the configuration doesn't name."""
    world = World(seed=1, size=2)
    for number, node in enumerate(world.nodes.values(), 1):
        node.kernel.links[SECOND] = Link(SECOND, "eth1", mac=Mac(bytes((0x52, 0x54, 0, 0, 1, number))))
        node.kernel.add_foreign(ip_interface(f"192.168.50.{number}/24"), SECOND)
    world.begin()
    world.run(5.0)
    return world


def lose_lan_address(world: World, number: int) -> None:
    world.nodes[f"n{number}"].kernel.delete((SECOND, ip_address(f"192.168.50.{number}"), 24))


def test_a_pool_on_the_subnet_of_another_nic_never_leads_that_subnet_into_the_dummy_interface() -> None:
    world = dual_homed()

    world.want(LAN_VIP)
    world.run(10.0)

    assert takers(world, LAN_VIP) == set()
    assert all(
        "192.168.50.0/24, the subnet of eth1" in reason and "localInterface" in reason for reason in reasons(world)
    )
    assert reasons(world)


def test_nor_after_that_nic_lost_its_cable_and_its_address() -> None:
    world = dual_homed()
    world.want(LAN_VIP)
    world.run(10.0)

    for number, node in enumerate(world.nodes.values(), 1):
        node.kernel.set_link(SECOND, has_carrier=False)
        lose_lan_address(world, number)
    world.run(300.0)
    assert takers(world, LAN_VIP) == set()

    for node in world.nodes.values():
        node.kernel.set_link(SECOND, has_carrier=True)
    world.run(5.0)
    for number, node in enumerate(world.nodes.values(), 1):
        node.kernel.add_foreign(ip_interface(f"192.168.50.{number}/24"), SECOND)
    world.run(120.0)
    assert takers(world, LAN_VIP) == set()


def test_what_is_on_the_dummy_interface_goes_when_a_nic_gets_its_subnet() -> None:
    world = cluster(2)
    world.want(LAN_VIP)
    world.run(5.0)
    assert takers(world, LAN_VIP) == {"n1", "n2"}

    kernel = world.nodes["n1"].kernel
    kernel.links[SECOND] = Link(SECOND, "eth1", mac=Mac(bytes((0x52, 0x54, 0, 0, 1, 1))), is_up=False)
    kernel.set_link(SECOND, is_up=True)
    kernel.add_foreign(ip_interface("192.168.50.1/24"), SECOND)
    world.run(5.0)

    assert takers(world, LAN_VIP) == {"n2"}
