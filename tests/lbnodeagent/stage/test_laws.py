"""The stage sees each breach of what no agent does: whatever a kernel would let happen, by the name of its rule."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

import pytest

from bench.constitution import LAWS, Law
from lbnodeagent.tables import DUMMY_ALIAS, IfIndex, PresentAddress, Remove
from tests.lbnodeagent.stage.topology import ETH0, LAN4, ROUTED4, VIP4, one_subnet
from tests.lbnodeagent.stage.world import World

N1 = ip_address("10.31.188.1")


def at_rest() -> World:
    """Two nodes with second NICs that take no VIPs, a VIP on one of them and one on both."""
    world = World(1, 2, of=one_subnet(2, has_second_nics=True))
    world.api.configure("default", {"localInterface": "default"})
    world.begin()
    world.api.want(VIP4)
    world.api.want(ROUTED4[0])
    world.run(30.0)
    return world


def put(world: World, address: str, prefix_length: int, index: IfIndex = ETH0) -> None:
    """As if n2's agent had."""
    one = PresentAddress(index, ip_address(address), prefix_length, is_ours=True)
    world.nodes["n2"].kernel.addresses[one.key] = one


def takes_a_nodes_address(world: World) -> None:
    put(world, str(N1), 16)


def takes_what_was_given_to_nobody(world: World) -> None:
    put(world, "10.31.188.99", 16)


def leads_a_subnet_into_the_dummy_interface(world: World) -> None:
    (dummy,) = (link for link in world.nodes["n2"].kernel.links.values() if link.alias == DUMMY_ALIAS)
    put(world, str(LAN4), 24, dummy.index)


def removes_a_nodes_own_address(world: World) -> None:
    node = world.nodes["n1"]
    node.kernel.execute([Remove(N1, ETH0, "eth0", 16)], world.now)
    world.laws.look(node, world.now)


def takes_an_address_of_a_group(world: World) -> None:
    put(world, "224.0.0.9", 32)


def says_nothing_of_a_vip_that_nobody_has(world: World) -> None:
    world.api.want(ROUTED4[1], policy="Local")
    world.run(15.0)
    assert world.laws.at_rest() == []
    for node in world.nodes.values():
        assert node.agent is not None
        node.agent.reports.clear()


BREACHES: dict[Law, Callable[[World], None]] = {
    "forbidden-address": takes_a_nodes_address,
    "not-given": takes_what_was_given_to_nobody,
    "shadows-subnet": leads_a_subnet_into_the_dummy_interface,
    "not-ours": removes_a_nodes_own_address,
    "no-single-host": takes_an_address_of_a_group,
    "untold": says_nothing_of_a_vip_that_nobody_has,
}


def test_no_law_is_missing() -> None:
    assert BREACHES.keys() == set(LAWS)


@pytest.mark.parametrize("law", LAWS)
def test_a_breach_is_seen_and_named(law: Law) -> None:
    world = at_rest()
    assert world.laws.at_rest() == []

    BREACHES[law](world)

    assert any(f"{law}: " in one for one in world.laws.at_rest())
