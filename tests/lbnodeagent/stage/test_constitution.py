"""What no agent does, whatever it is told: on whole clusters."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface, ip_address

from lbnodeagent.gossip.events import KeyRetired
from lbnodeagent.gossip.hosts import PROVEN
from lbnodeagent.tables import UNCONFIGURED, Announcement
from tests.lbnodeagent.stage.topology import LAN1, LAN4, ROUTED4, VIP4, one_subnet
from tests.lbnodeagent.stage.world import World

N1 = ip_address("10.31.188.1")


def cluster(size: int = 3, *, has_second_nics: bool = False) -> World:
    """All nodes in one subnet; the configuration names their first NIC alone."""
    world = World(1, size, of=one_subnet(size, has_second_nics=has_second_nics))
    world.api.configure("default", {"localInterface": "default"})
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
        world.api.want(ip_address(f"10.31.188.{number}"))
    world.run(30.0)

    assert [takers(world, ip_address(f"10.31.188.{number}")) for number in range(1, 4)] == [set(), set(), set()]
    assert any("node n" in reason and "take it out of the pool" in reason for reason in reasons(world))


def test_an_address_goes_when_its_node_joins() -> None:
    world = cluster()
    world.cut_power("n1")
    world.run(10.0)
    world.api.want(N1)  # who reads the API after a long night can't know whose it was

    world.restore_power("n1")
    world.run(30.0)

    assert takers(world, N1) == set()


def test_the_address_of_a_node_that_is_down_for_a_while_stays_free_for_it() -> None:
    world = cluster()
    world.run(PROVEN)
    world.stop_agent("n1")
    world.run(10.0)

    world.api.want(N1)
    world.run(10.0)

    assert takers(world, N1) == set()


def test_with_a_key_that_is_retired_the_addresses_of_nodes_that_are_gone_are_forgotten() -> None:
    world = cluster()
    world.run(PROVEN)
    world.cut_power("n1")
    world.run(10.0)
    world.api.want(N1)
    world.run(5.0)
    assert takers(world, N1) == set()

    for node in world.nodes.values():
        if node.agent is not None:
            node.agent.core.peer(world.now, KeyRetired())
    world.run(10.0)

    assert takers(world, N1)


def test_what_is_a_nodes_address_no_longer_is_taken_within_a_minute() -> None:
    world = cluster()
    world.cut_power("n1")  # before anybody could be sure of it
    world.api.want(N1)
    world.run(30.0)

    assert takers(world, N1)


def lan_address(world: World, node: str) -> IPv4Interface | IPv6Interface:
    return world.topology.nics[node][1].own[0]


def dual_homed() -> World:
    """Two nodes with a NIC that takes no VIPs; an address of its subnet would be routed with all of it."""
    world = cluster(2, has_second_nics=True)
    world.api.regroup("storage", "default")
    return world


def test_a_host_route_into_the_subnet_of_another_nic_is_none_of_that_subnets() -> None:
    world = dual_homed()
    world.api.regroup("storage", "/32")

    world.api.want(LAN4)
    world.run(10.0)

    assert takers(world, LAN4) == {"n1", "n2"}


def test_a_pool_on_the_subnet_of_another_nic_never_leads_that_subnet_into_the_dummy_interface() -> None:
    world = dual_homed()

    world.api.want(LAN4)
    world.run(10.0)

    assert takers(world, LAN4) == set()
    assert reasons(world)
    assert all(
        "172.30.0.0/24, the subnet of lan1" in reason and "localInterface" in reason for reason in reasons(world)
    )


def test_nor_after_that_nic_lost_its_cable_and_its_address() -> None:
    world = dual_homed()
    world.api.want(LAN4)
    world.run(10.0)

    for name, node in world.nodes.items():
        node.kernel.set_link(LAN1, has_carrier=False)
        node.kernel.delete((LAN1, lan_address(world, name).ip, 24))
    world.run(300.0)
    assert takers(world, LAN4) == set()

    for node in world.nodes.values():
        node.kernel.set_link(LAN1, has_carrier=True)
    world.run(5.0)
    for name, node in world.nodes.items():
        node.kernel.add_foreign(lan_address(world, name), LAN1)
    world.run(120.0)
    assert takers(world, LAN4) == set()


def test_what_is_on_the_dummy_interface_goes_when_a_nic_gets_its_subnet() -> None:
    world = dual_homed()
    for name, node in world.nodes.items():
        node.kernel.delete((LAN1, lan_address(world, name).ip, 24))
    world.run(120.0)
    world.api.want(LAN4)
    world.run(5.0)
    assert takers(world, LAN4) == {"n1", "n2"}

    world.nodes["n1"].kernel.add_foreign(lan_address(world, "n1"), LAN1)
    world.run(5.0)

    assert takers(world, LAN4) == {"n2"}


def speakers(world: World) -> dict[str, str]:
    """What each agent that said something last said of VIPs that no node has."""
    return {
        name: report.error
        for name, node in world.nodes.items()
        if node.agent is not None
        for report in node.agent.reports
        if isinstance(report, Announcement) and report.state == "failed" and not report.interface
    }


def test_a_vip_that_no_node_can_have_is_told_of_by_one_of_them() -> None:
    world = cluster()
    world.api.want(ROUTED4[0], policy="Local")
    world.run(15.0)

    assert speakers(world) == {"n1": "its traffic policy is Local, and no endpoint of it is ready"}


def test_so_is_a_cluster_of_which_no_node_has_an_lbnodeagent() -> None:
    world = cluster()
    world.api.want(VIP4)
    world.api.want(ROUTED4[0])
    world.run(5.0)

    world.api.configure("default", None)
    world.run(15.0)

    assert takers(world, VIP4) == takers(world, ROUTED4[0]) == set()
    assert speakers(world) == {"n1": UNCONFIGURED}


def one_configured(size: int = 3) -> World:
    """An LBNodeAgent is for n2 alone."""
    world = cluster(size)
    world.api.label("n2", "lb", is_there=True)
    world.api.configure("default", {"localInterface": "default"}, {"lb": "yes"})
    world.run(10.0)
    return world


def test_a_cordon_of_the_only_node_that_announces_costs_no_routed_vip() -> None:
    world = one_configured()
    world.api.want(ROUTED4[0])
    world.api.node("n2", is_cordoned=True)
    world.run(30.0)

    assert takers(world, ROUTED4[0]) == {"n2"}


def test_policy_local_with_endpoints_on_nodes_without_an_lbnodeagent_is_told_of_by_one_that_has_one() -> None:
    world = one_configured()
    world.api.want(ROUTED4[0], policy="Local")
    world.api.endpoints(ROUTED4[0], frozenset({"n1"}))
    world.run(30.0)

    assert takers(world, ROUTED4[0]) == set()
    assert speakers(world) == {
        "n2": "its traffic policy is Local, and no node with a ready endpoint has an agent that can announce: n1"
    }
