"""Nodes that don't hear each other on a wire that works: no VIP on two of them, and none on nobody."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

import pytest

from lbnodeagent.tables import Mac, Serving
from purelb.addresses import IPAddress
from purelb.election import ranking
from tests.lbnodeagent.stage.topology import ROUTED4, VIP4, VIP6, one_subnet
from tests.lbnodeagent.stage.world import World

SLOWER = 12
"""By which the gossip of the stage is slower than that of agents."""


def cluster(size: int, *, gateway: IPAddress | None = None) -> World:
    """Each VIP on its owner."""
    world = World(3, size, of=one_subnet(size))
    for node in world.nodes.values():
        node.kernel.gateway = gateway
    for vip in (VIP4, VIP6, ROUTED4[0]):
        world.api.want(vip)
    world.begin()
    world.run(6.0)
    return world


def doubled(world: World, vip: IPAddress, seconds: float) -> float:
    """For how long two nodes have a VIP, within so many seconds; that nobody has it is asserted against."""
    both = 0.0
    for _ in range(int(seconds / 0.05)):
        world.run(0.05)
        holders = world.holders(vip)
        assert holders, f"nobody has {vip} at {world.now}"
        both += 0.05 * (len(holders) > 1)
    return both


@pytest.mark.parametrize("size", [2, 3, 5])
def test_with_the_gossip_port_closed_everything_stays_where_it_is(size: int) -> None:
    world = cluster(size)
    before = {vip: world.holders(vip) for vip in (VIP4, VIP6)}

    world.hush(world.nodes, world.nodes)
    both = doubled(world, VIP4, 60.0)

    assert both / SLOWER < 0.3, "seconds of an agent's own pace"
    assert {vip: world.holders(vip) for vip in before} == before
    assert world.holders(ROUTED4[0]) == {*world.nodes}


def hears_nothing(world: World, name: str) -> None:
    world.hush([other for other in world.nodes if other != name], [name])


def is_not_heard(world: World, name: str) -> None:
    world.hush([name], [other for other in world.nodes if other != name])


@pytest.mark.parametrize("begin", [hears_nothing, is_not_heard])
@pytest.mark.parametrize("size", [3, 5])
def test_what_a_deaf_or_mute_node_has_is_soon_on_its_heir_alone(size: int, begin: Callable[[World, str], None]) -> None:
    world = cluster(size)
    owner, heir, *_ = ranking(tuple(world.nodes), VIP4)
    others = {vip: world.holders(vip) for vip in (VIP4, VIP6) if world.holders(vip) != {owner}}

    begin(world, owner)
    both = doubled(world, VIP4, 60.0)

    assert both / SLOWER < 0.6, "seconds of an agent's own pace"
    assert world.holders(VIP4) == {heir}
    assert {vip: world.holders(vip) for vip in others} == others

    world.heal()
    world.run(12.0)
    assert world.holders(VIP4) == {owner}


def test_of_two_that_do_not_hear_each_other_one_that_dies_is_replaced() -> None:
    world = cluster(2)
    world.hush(world.nodes, world.nodes)
    world.run(20.0)
    (owner,) = world.holders(VIP4)
    (heir,) = set(world.nodes) - {owner}

    world.cut_power(owner)
    world.run(1.5)

    assert world.holders(VIP4) == {heir}


def test_of_two_a_killed_agent_s_address_is_left_to_its_kernel_and_taken_when_that_lets_go() -> None:
    world = cluster(2)
    (owner,) = world.holders(VIP4)
    (heir,) = set(world.nodes) - {owner}

    world.kill_agent(owner)
    world.run(5.0)
    assert world.holders(VIP4) == {owner}

    world.run(7.0)
    assert world.holders(VIP4) == {heir}


def test_of_two_a_new_address_is_on_one_of_those_that_do_not_hear_each_other() -> None:
    world = World(3, 2, of=one_subnet(2))
    world.begin()
    world.run(6.0)
    world.hush(world.nodes, world.nodes)
    world.run(20.0)

    world.api.want(VIP4)
    world.run(5.0)

    assert len(world.holders(VIP4)) == 1


def test_an_agent_that_starts_and_hears_nobody_takes_nothing_that_another_has() -> None:
    world = cluster(3)
    (owner,) = world.holders(VIP4)
    other = next(name for name in world.nodes if name != owner)
    world.hush(world.nodes, world.nodes)
    world.run(20.0)

    world.kill_agent(other)
    world.start_agent(other)
    world.run(30.0)

    assert world.holders(VIP4) == {owner}


def test_an_agent_that_thaws_is_told_by_the_wire_at_once_who_took_its_addresses_and_lets_go() -> None:
    world = cluster(3)
    (owner,) = world.holders(VIP4)
    world.freeze_agent(owner, 5.5)
    world.run(5.4)
    (heir,) = world.holders(VIP4) - {owner}
    world.hush(world.nodes, world.nodes)  # else the gossip is as quick, on this stage

    world.run(0.11)
    assert world.holders(VIP4) == {heir}

    world.heal()
    world.run(12.0)
    assert world.holders(VIP4) == {owner}


def test_an_agent_that_thaws_has_its_address_alone_as_soon_as_its_heir_hears_of_it() -> None:
    world = cluster(3)
    (owner,) = world.holders(VIP4)
    world.freeze_agent(owner, 5.5)
    world.run(5.4)
    assert len(world.holders(VIP4)) == 2

    world.run(0.15)
    assert len(world.holders(VIP4)) == 1

    world.run(8.0)
    assert world.holders(VIP4) == {owner}


def test_an_agent_whose_kernel_let_its_address_go_meanwhile_takes_it_when_its_heir_gives_it() -> None:
    world = cluster(3)
    (owner,) = world.holders(VIP4)
    world.freeze_agent(owner, 60.0)
    world.run(59.9)
    (heir,) = world.holders(VIP4)
    assert heir != owner

    both = doubled(world, VIP4, 20.0)

    assert world.holders(VIP4) == {owner}
    assert both / SLOWER < 0.1, "seconds of an agent's own pace"
    agent = world.nodes[owner].agent
    assert agent is not None
    assert not agent.counted["restored"], "nobody took it away"


def test_agents_that_all_stood_still_have_their_addresses_back_at_once() -> None:
    world = cluster(3)
    before = {vip: world.holders(vip) for vip in (VIP4, VIP6)}
    for name in world.nodes:
        world.freeze_agent(name, 60.0)
    world.run(59.9)
    assert world.holders(VIP4) == set()

    world.run(0.5)

    assert {vip: world.holders(vip) for vip in before} == before


def speaks_as(world: World, name: str, vip: IPAddress, seconds: float) -> list[set[str]]:
    """A stranger says with a node's MAC that it has a VIP, for so long; who had it at each moment."""
    (mac, *_) = (nic.mac for nic in world.nodes[name].kernel.nics)
    holders = []
    for _ in range(int(seconds / 0.03)):
        world.wire.say(vip, mac)
        world.run(0.03)
        holders.append(world.holders(vip))
    return holders


def test_who_speaks_as_a_node_moves_nothing_as_long_as_peers_answer() -> None:
    world = cluster(3)
    (owner,) = world.holders(VIP4)
    other = next(name for name in world.nodes if name != owner)

    assert speaks_as(world, other, VIP4, 30.0) == [{owner}] * 1000


def test_a_lone_node_leaves_an_address_to_who_speaks_as_its_peer_and_takes_it_when_that_falls_silent() -> None:
    world = cluster(2)
    (owner,) = world.holders(VIP4)
    (heir,) = set(world.nodes) - {owner}
    world.cut_power(owner)
    world.run(30.0)
    assert world.holders(VIP4) == {heir}

    left = speaks_as(world, owner, VIP4, 10.0)
    assert left[-1] == set()

    world.run(1.5)
    assert world.holders(VIP4) == {heir}


def test_who_hears_nobody_on_its_wire_takes_nothing_and_says_so() -> None:
    gateway = ip_address("10.31.254.251")
    world = cluster(2, gateway=gateway)
    (owner,) = world.holders(VIP4)
    (heir,) = set(world.nodes) - {owner}
    agent = world.nodes[heir].agent
    assert agent is not None

    world.cut_power(owner)
    world.run(30.0)
    said = [report.trouble for report in agent.reports if isinstance(report, Serving)]
    assert world.holders(VIP4) == set()
    assert said[-1] == "no peer answers, nor does anybody on eth0"

    world.wire.strangers[gateway] = Mac(bytes.fromhex("020000000001"))
    world.run(2.0)
    said = [report.trouble for report in agent.reports if isinstance(report, Serving)]
    assert world.holders(VIP4) == {heir}
    assert said[-1] == ""
